"""Clips as cameras send them, made where they are needed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from facestream_producer.opening import open_source

FPS = 30
# As cameras encode: no B-frames, and a whole picture every so many seconds.
CAMERA_LIKE = {"preset": "veryfast", "bf": "0"}
_KEY_SECONDS = 2
# What a sensor adds to a well-lit scene, in levels of 255; a few pictures of it, over and over.
_NOISE_LEVELS = 3.0
_NOISES = 7

Picture = NDArray[np.uint8]


def as_a_camera(
    source: str, path: Path, *, size: tuple[int, int] | None = None, mbit: float | None = None
) -> Path:
    """The built-in scene as H.264, in `size` (width, height) or its own.

    mbit: million bits a second, with a sensor's noise; None: as drawn, and as few as that takes.
    """
    noise = _Noise() if mbit else None
    scene = open_source(source)
    fps = round(scene.fps or FPS)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        keys = {"g": str(_KEY_SECONDS * fps)}
        stream.codec_context.options = CAMERA_LIKE | keys | ({} if mbit else {"crf": "23"})
        if mbit:
            stream.bit_rate = round(mbit * 1_000_000)
        for number, frame in enumerate(scene.frames()):
            assert isinstance(frame.picture, np.ndarray)
            picture = noise.on(frame.picture, number) if noise else frame.picture
            width, height = size or (picture.shape[1], picture.shape[0])
            if number == 0:
                stream.width, stream.height = width, height
            planar = av.VideoFrame.from_ndarray(picture, "bgr24").reformat(width, height, "yuv420p")
            planar.pts, planar.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(planar))
        container.mux(stream.encode())
    return path


class _Noise:
    """The same for every channel, as brightness; not the same in two pictures that follow each other."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._made: list[NDArray[np.int16]] = []

    def on(self, picture: Picture, number: int) -> Picture:
        if not self._made:
            shape = (*picture.shape[:2], 1)
            self._made = [
                self._rng.normal(0, _NOISE_LEVELS, shape).round().astype(np.int16) for _ in range(_NOISES)
            ]
        return np.clip(picture + self._made[number % _NOISES], 0, 255).astype(np.uint8)
