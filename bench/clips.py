"""Clips as cameras send them, made where they are needed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from facestream_producer.opening import open_source

FPS = 30
# As cameras encode: no B-frames, a whole picture every two seconds.
CAMERA_LIKE = {"preset": "veryfast", "crf": "23", "bf": "0", "g": str(2 * FPS)}


def as_a_camera(source: str, path: Path, size: tuple[int, int] | None = None) -> Path:
    """The built-in scene as H.264 of 30 frames a second, in `size` (width, height) or its own."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = CAMERA_LIKE
        for number, frame in enumerate(open_source(source).frames()):
            assert isinstance(frame.picture, np.ndarray)
            picture = av.VideoFrame.from_ndarray(frame.picture, "bgr24")
            width, height = size or (picture.width, picture.height)
            if number == 0:
                stream.width, stream.height = width, height
            planar = picture.reformat(width, height, "yuv420p")
            planar.pts, planar.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(planar))
        container.mux(stream.encode())
    return path
