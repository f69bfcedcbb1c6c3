"""The first picture in a WebP file, still or animated, without what surrounds it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from facestream_models.damaged import Damaged
from facestream_models.tiff import UPRIGHT, exif_orientation

_MAX_CHUNKS = 100_000
_HAS_ALPHA = 0x10


@dataclass(slots=True)
class WebpPicture:
    """The canvas, and the frame drawn on it at (left, top); all in pixels."""

    width: int = 0
    height: int = 0
    orientation: int = UPRIGHT
    left: int = 0
    top: int = 0
    frame_width: int = 0
    frame_height: int = 0
    pixels: bytes = b""
    alpha: bytes = b""

    def alone(self) -> bytes:
        """The frame as a still WebP file of its own."""
        size = struct.pack(
            "<BxxxBHBH", _HAS_ALPHA, *_minus_one(self.frame_width), *_minus_one(self.frame_height)
        )
        body = b"WEBP" + (_chunk(b"VP8X", size) + self.alpha if self.alpha else b"") + self.pixels
        return b"RIFF" + struct.pack("<I", len(body)) + body


def read_webp(data: bytes) -> WebpPicture:
    """The first picture of a file; Damaged where the file ends before the picture does."""
    picture = WebpPicture()
    for name, content in _chunks(data, 12):
        if name == b"VP8X":
            picture.width, picture.height = 1 + _u24(content, 4), 1 + _u24(content, 7)
        elif name == b"ANMF" and not picture.pixels:
            picture.left, picture.top = 2 * _u24(content, 0), 2 * _u24(content, 3)
            for inner, inner_content in _chunks(content, 16):
                _take(picture, inner, inner_content)
        elif name == b"EXIF":
            picture.orientation = exif_orientation(content)
        else:
            _take(picture, name, content)
    if not picture.pixels:
        raise Damaged
    picture.width = picture.width or picture.frame_width
    picture.height = picture.height or picture.frame_height
    if (
        picture.left + picture.frame_width > picture.width
        or picture.top + picture.frame_height > picture.height
    ):
        raise Damaged
    return picture


def _take(picture: WebpPicture, name: bytes, content: bytes) -> None:
    if picture.pixels:
        return
    if name == b"ALPH":
        picture.alpha = _chunk(name, content)
    elif name == b"VP8 ":
        if content[3:6] != b"\x9d\x01\x2a":
            raise Damaged
        width, height = struct.unpack_from("<HH", content, 6)
        picture.frame_width, picture.frame_height = width & 0x3FFF, height & 0x3FFF
        picture.pixels = _chunk(name, content)
    elif name == b"VP8L":
        (packed,) = struct.unpack_from("<xI", content)
        picture.frame_width, picture.frame_height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        picture.pixels, picture.alpha = _chunk(name, content), b""


def _chunks(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return
        name, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > len(data):
            raise Damaged
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _u24(data: bytes, at: int) -> int:
    if at + 3 > len(data):
        raise Damaged
    return int.from_bytes(data[at : at + 3], "little")


def _minus_one(size: int) -> tuple[int, int]:
    return (size - 1) & 0xFF, (size - 1) >> 8
