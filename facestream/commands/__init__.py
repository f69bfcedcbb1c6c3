"""The `facestream` command: one module a subcommand, applications add theirs by entry point."""
