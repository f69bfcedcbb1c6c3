"""Frames as they lie on the bus: good ones, and every way in which a stranger's are bad."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from facestream.contract import MAX_IMAGE_BYTES, DropReason, FrameHeader
from support.bus import header

Image = NDArray[np.uint8]


def jpeg(image: Image, quality: int = 90) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "BGR", "420"))


def header_of(image: Image, **changes: Any) -> FrameHeader:
    """The header that a producer would send with the picture."""
    height, width = image.shape[:2]
    sizes = {"width": width, "height": height, "source_width": width, "source_height": height}
    return header(**sizes | {"region": (0, 0, width, height)} | changes)


def plain(width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), 120, np.uint8)


def bomb(width: int, height: int) -> bytes:
    """A JPEG of a few hundred bytes whose own header claims a picture of that size."""
    good = jpeg(plain())
    at = next(good.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in good)
    return good[: at + 5] + struct.pack(">HH", height, width) + good[at + 9 :]


def many_scans(count: int) -> bytes:
    """A JPEG whose last scan comes again and again, each costing time for the whole picture."""
    good = jpeg(plain())
    scan = good[good.rindex(b"\xff\xda") : -2]
    return good[:-2] + scan * count + good[-2:]


def huge() -> bytes:
    """A good JPEG with rubbish behind it, larger than any picture may be."""
    return jpeg(plain()).ljust(HUGE, b"\0")


@dataclass(frozen=True, slots=True)
class Bad:
    """A frame that must be refused: for a reason, with words that say what is wrong."""

    name: str
    reason: DropReason
    words: str
    header: Callable[[str], bytes]
    image: Callable[[], bytes] = lambda: jpeg(plain())


def _changed(**changes: Any) -> Callable[[str], bytes]:
    """A good header with fields changed on the wire; None takes the field away."""

    def pack(camera: str) -> bytes:
        fields = header(camera=camera).to_map() | changes
        return bytes(msgpack.packb({name: value for name, value in fields.items() if value is not None}))

    return pack


GOOD = _changed()
CONTRACT, DECODE = DropReason.CONTRACT_ERROR, DropReason.DECODE_ERROR
HUGE = MAX_IMAGE_BYTES + (8 << 20)

BAD = (
    Bad("another camera's", CONTRACT, "names another camera", _changed(camera="somebody-else")),
    Bad("a camera that cannot be", CONTRACT, "not a valid camera name", _changed(camera="../Etc")),
    Bad("from the future", CONTRACT, "version 7 is from the future", _changed(v=7)),
    Bad("of no version", CONTRACT, "no schema version", _changed(v=None)),
    Bad("not a map", CONTRACT, "a msgpack list where a map", lambda _: msgpack.packb([1, 2, 3])),
    Bad("garbage", CONTRACT, "not msgpack", lambda _: b"\xc1\xff\x00 rubbish"),
    Bad("nothing", CONTRACT, "not msgpack", lambda _: b""),
    Bad("too long a header", CONTRACT, "bytes where at most 16384", _changed(more=["x" * 2000] * 9)),
    Bad("out of bounds", CONTRACT, "60000 x 48 is out of bounds", _changed(width=60_000)),
    Bad("an exotic codec", CONTRACT, "codec 'x-\\u202enif' is not one of", _changed(codec="x-\u202enif")),
    Bad("a bomb", CONTRACT, "the JPEG is 60000 x 60000 where", GOOD, lambda: bomb(60_000, 60_000)),
    Bad("of another size", CONTRACT, "the JPEG is 65 x 48 where", GOOD, lambda: jpeg(plain(65))),
    Bad("no bytes", DECODE, "a picture of 0 bytes", GOOD, lambda: b""),
    Bad("no JPEG", DECODE, "not a JPEG", GOOD, lambda: b"GIF89a" + bytes(100)),
    Bad("truncated", DECODE, "a broken JPEG", GOOD, lambda: jpeg(plain())[:-20]),
    Bad("endless scans", DECODE, "more than 64 scans", GOOD, lambda: many_scans(100)),
    Bad("too many bytes", DECODE, f"a picture of {HUGE} bytes", GOOD, huge),
)  # fmt: skip
