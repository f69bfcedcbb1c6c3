"""Takes frames, finds and describes faces, publishes one result a frame."""
