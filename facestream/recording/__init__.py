"""Recordings: frames, results and rejects as they passed, in one file."""
