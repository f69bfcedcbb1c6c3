"""facestream: frames in, faces out, every frame accounted for."""

__version__ = "0.1.0"
