"""Benches that users run on their own machine: `facestream bench`."""
