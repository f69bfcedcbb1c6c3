"""What to do when a package is not installed."""

from __future__ import annotations


def describe_missing(error: ModuleNotFoundError) -> str:
    """One line for the user of an installation that only reads results, or of one that is broken."""
    return f"this command needs {error.name}, which is not installed: pip install 'facestream[all]'"
