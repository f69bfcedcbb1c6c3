"""What `facestream run` is made of: children, progress, output, summary."""
