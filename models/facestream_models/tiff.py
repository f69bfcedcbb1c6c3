"""The first directory of a TIFF file, and the orientation that EXIF keeps in one."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from facestream_models.damaged import Damaged

UPRIGHT = 1

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_TYPES = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}
_MAX_ENTRIES = 4096
_MAX_VALUES = 4_000_000


@dataclass(frozen=True, slots=True)
class Directory:
    """Numbers by tag, and the place of each tag's value in the file."""

    values: dict[int, np.ndarray[tuple[int], np.dtype[np.unsignedinteger]]]
    places: dict[int, int]
    order: str

    @classmethod
    def read(cls, data: bytes) -> Directory:
        """The first directory; Damaged or struct.error where there is none to read."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None:
            raise Damaged
        big = data[2:4] in (b"+\0", b"\0+")
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        if start > len(data):
            raise Damaged
        (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
        if entries > _MAX_ENTRIES:
            raise Damaged
        directory = cls({}, {}, order)
        for number in range(entries):
            directory._enter(data, start + (8 + 20 * number if big else 2 + 12 * number), big)
        return directory

    def _enter(self, data: bytes, at: int, big: bool) -> None:
        tag, kind, count = struct.unpack_from(self.order + ("HHQ" if big else "HHI"), data, at)
        if kind not in _TYPES or count > _MAX_VALUES or tag in self.values:
            return
        dtype = np.dtype(self.order + _TYPES[kind])
        inline, place = (8, at + 12) if big else (4, at + 8)
        if count * dtype.itemsize > inline:
            (place,) = struct.unpack_from(self.order + ("Q" if big else "I"), data, place)
        if place + count * dtype.itemsize > len(data):
            raise Damaged
        self.values[tag] = np.frombuffer(data, dtype, count, place)
        self.places[tag] = place

    def number(self, tag: int, default: int) -> int:
        values = self.values.get(tag)
        return default if values is None or not len(values) else int(values[0])

    @property
    def width(self) -> int:
        return self.number(_WIDTH, 0)

    @property
    def height(self) -> int:
        return self.number(_HEIGHT, 0)

    @property
    def bits(self) -> int:
        """Of one sample: 1, 8, 16, …"""
        return self.number(_BITS, 1)

    @property
    def in_whole_numbers(self) -> bool:
        return self.number(_SAMPLE_FORMAT, 1) == 1

    @property
    def in_lab(self) -> bool:
        return self.number(_PHOTOMETRIC, 2) in (8, 9, 10)

    @property
    def premultiplied(self) -> bool:
        return self.number(_EXTRA_SAMPLES, 0) == 1

    @property
    def orientation(self) -> int:
        value = self.number(_ORIENTATION, UPRIGHT)
        return value if 1 <= value <= 8 else UPRIGHT

    def whole(self, data: bytes) -> bool:
        """Whether every strip or tile lies inside the file."""
        for starts, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
            if starts in self.values and sizes in self.values:
                offsets, lengths = self.values[starts], self.values[sizes]
                if len(offsets) != len(lengths):
                    return False
                if np.any(offsets.astype(np.float64) + lengths.astype(np.float64) > len(data)):
                    return False
        return True

    def upright(self, data: bytes) -> bytes:
        """The same file with its orientation struck out: decoders differ in whether they honour it."""
        if _ORIENTATION not in self.places or self.orientation == UPRIGHT:
            return data
        values = self.values[_ORIENTATION]
        place, one = self.places[_ORIENTATION], np.ones_like(values).tobytes()
        return data[:place] + one + data[place + len(one) :]


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, that a block of EXIF asks for; 1 where it says nothing that can be used."""
    try:
        return Directory.read(exif.removeprefix(b"Exif\0\0")).orientation
    except (Damaged, struct.error):
        return UPRIGHT
