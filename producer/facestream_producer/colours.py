"""From the colours of a video to those of a JPEG (BT.601, full range), where that is quicker than swscale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane

from facestream_producer.source import Pixels

Planes: TypeAlias = tuple[Pixels, Pixels, Pixels]

_PLANAR = ("yuv420p", "yuvj420p")
_BT709 = 1
# Not said is taken for BT.601, as everywhere in FFmpeg.
_BT601 = (2, 5, 6)
_FULL = 2
# What BT.601 makes of BT.709's colour differences (blue, red), for each of its own three signals.
_LUMA, _BLUE, _RED = (0.10159, 0.19609), (0.98985, -0.11066), (-0.07246, 0.98337)
# The luma's correction is less than 39 levels: twice it has half the rounding and fits a byte.
_FINER = 2


@dataclass(frozen=True, slots=True)
class Colours:
    """How a picture of three planes at 4:2:0 says its colours."""

    is_bt709: bool
    is_full: bool

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Colours | None:
        """None for a picture that has to be left to swscale."""
        if frame.format.name not in _PLANAR or frame.colorspace not in (_BT709, *_BT601):
            return None
        is_full = frame.format.name == "yuvj420p" or frame.color_range == _FULL
        return cls(frame.colorspace == _BT709, is_full)

    def to_jpeg(self, planes: Planes) -> Planes:
        """The planes (luma, blue, red) as a JPEG stores them; untouched where they are that already."""
        if self.is_bt709:
            return self._from_bt709(planes)
        if self.is_full:
            return planes
        luma, blue, red = planes
        by, colour = 255 / 219, 255 / 224
        middle = 128 * (1 - colour)
        return (
            _stretched(luma, by, -16 * by),
            _stretched(blue, colour, middle),
            _stretched(red, colour, middle),
        )

    def _from_bt709(self, planes: Planes) -> Planes:
        luma, blue, red = planes
        bright, colour = (1.0, 1.0) if self.is_full else (255 / 219, 255 / 224)
        black = 0 if self.is_full else 16
        correction = _mixed(blue, red, _LUMA, _FINER * colour)
        size = (2 * blue.shape[1], 2 * blue.shape[0])
        wide = cv2.resize(correction, size, interpolation=cv2.INTER_LINEAR)[: luma.shape[0], : luma.shape[1]]
        offset = -bright * black - 128 / _FINER
        corrected = np.asarray(cv2.addWeighted(luma, bright, wide, 1 / _FINER, offset), np.uint8)
        return corrected, _mixed(blue, red, _BLUE, colour), _mixed(blue, red, _RED, colour)


def planes_of(frame: av.VideoFrame) -> Planes:
    luma, blue, red = map(_plane, frame.planes)
    return luma, blue, red


def _plane(plane: VideoPlane) -> Pixels:
    # The planes' rows are padded; memoryview keeps the frame alive for as long as the array is.
    rows: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _stretched(plane: Pixels, by: float, offset: float) -> Pixels:
    return np.asarray(cv2.addWeighted(plane, by, plane, 0.0, offset), np.uint8)


def _mixed(blue: Pixels, red: Pixels, parts: tuple[float, float], by: float) -> Pixels:
    """So much of both colour differences, around the same middle of 128."""
    first, second = parts[0] * by, parts[1] * by
    return np.asarray(cv2.addWeighted(blue, first, red, second, 128 * (1 - first - second)), np.uint8)
