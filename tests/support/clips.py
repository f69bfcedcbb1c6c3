"""Small clips, made where they are needed. Every frame carries its number, so order and identity show."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8
# Corner colours (BGR) that tell the eight ways a picture can lie apart.
CORNERS = {"top_left": (40, 40, 220), "top_right": (40, 200, 40), "bottom_left": (220, 60, 40)}


def numbered(number: int, width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """A picture whose middle row of eight blocks is `number` in binary, with three coloured corners."""
    image = np.full((height, width, 3), 128, np.uint8)
    block, quarter = width // BITS, height // 4
    for bit in range(BITS):
        shade = 235 if number >> bit & 1 else 20
        image[quarter * 2 : quarter * 3, bit * block : (bit + 1) * block] = shade
    image[:quarter, : width // 4] = CORNERS["top_left"]
    image[:quarter, -(width // 4) :] = CORNERS["top_right"]
    image[-quarter:, : width // 4] = CORNERS["bottom_left"]
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The number `numbered` drew, read back from a decoded picture."""
    height, width = image.shape[:2]
    block = width // BITS
    row = image[height * 5 // 8]
    return sum(1 << bit for bit in range(BITS) if row[bit * block + block // 2].mean() > 128)


def bgr(picture: av.VideoFrame | NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture if isinstance(picture, np.ndarray) else picture.to_ndarray(format="bgr24")


def make_clip(
    path: Path,
    *,
    frames: int = 12,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (160, 120),
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    rotation: float | None = None,
    flip: bool = False,
    noise: bool = False,
    sound: bool = False,
) -> Path:
    """A clip of numbered pictures at 25 a second, or at `times_ms`."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.gop_size, context.options = 6, options or {}
        if times_ms is not None:
            context.time_base = Fraction(1, 1000)
        if rotation is not None or flip:
            stream.set_display_rotation(rotation or 0.0, hflip=flip)
        if sound:
            _add_silence(container)
        for number in range(frames):
            image = numbered(number, *size)
            if noise:
                image = rng.integers(0, 256, image.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=pix_fmt)
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        _add_silence(container)
    return path


def _add_silence(container: av.container.OutputContainer) -> None:
    stream = container.add_stream("aac", rate=44_100)
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    frame.sample_rate = 44_100
    container.mux(stream.encode(frame))
    container.mux(stream.encode())
