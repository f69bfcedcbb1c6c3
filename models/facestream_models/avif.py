"""The primary picture of an AVIF file: its size, its turn, its alpha plane, by the boxes of ISO 23008-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from facestream.errors import ImageError
from facestream_models.damaged import Damaged
from facestream_models.tiff import UPRIGHT

_MAX_BOXES = 10_000

# Quarter turns anticlockwise, then a mirror (None; 0: top to bottom; 1: left to right), as EXIF numbers them.
_ORIENTATIONS = {
    (0, None): 1,
    (1, None): 8,
    (2, None): 3,
    (3, None): 6,
    (0, 0): 4,
    (1, 0): 5,
    (2, 0): 2,
    (3, 0): 7,
    (0, 1): 2,
    (1, 1): 7,
    (2, 1): 4,
    (3, 1): 5,
}


@dataclass(frozen=True, slots=True)
class AvifPicture:
    """Stored size in pixels, orientation as EXIF numbers it, and the item numbers of colour and alpha."""

    width: int
    height: int
    orientation: int
    item: int
    alpha_item: int | None


@dataclass(slots=True)
class _Meta:
    primary: int
    kinds: dict[int, bytes]
    properties: list[tuple[bytes, bytes]]
    owned: dict[int, list[int]]
    references: list[tuple[bytes, int, list[int]]]


def read_avif(data: bytes) -> AvifPicture:
    """The primary picture; Damaged where the boxes break off, ImageError where it is made of tiles."""
    meta = _read_meta(data)
    if meta.kinds.get(meta.primary) != b"av01":
        raise ImageError(
            "is an AVIF made of several tiles, which is not read here; convert it to JPEG or PNG first"
        )
    size, turns, mirror = None, 0, None
    for index in meta.owned.get(meta.primary, []):
        name, content = meta.properties[index - 1] if 0 < index <= len(meta.properties) else (b"", b"")
        if name == b"ispe":
            size = struct.unpack_from(">II", content, 4)
        elif name == b"irot":
            turns = content[0] & 3
        elif name == b"imir":
            mirror = content[0] & 1
    if size is None:
        raise Damaged
    alpha = [item for kind, item, to in meta.references if kind == b"auxl" and meta.primary in to]
    return AvifPicture(
        size[0], size[1], _ORIENTATIONS.get((turns, mirror), UPRIGHT), meta.primary, _first_alpha(meta, alpha)
    )


def _first_alpha(meta: _Meta, items: list[int]) -> int | None:
    for item in items:
        for name, content in _properties(meta, item):
            if name == b"auxC" and (b":alpha" in content or b":auxid:1" in content):
                return item
    return None


def _properties(meta: _Meta, item: int) -> Iterator[tuple[bytes, bytes]]:
    for index in meta.owned.get(item, []):
        if 0 < index <= len(meta.properties):
            yield meta.properties[index - 1]


def _read_meta(data: bytes) -> _Meta:
    meta = _Meta(-1, {}, [], {}, [])
    for name, content in _boxes(data, 0):
        if name == b"meta":
            for inner, body in _boxes(content, 4):
                _enter(meta, inner, body)
            return meta
    raise Damaged


def _enter(meta: _Meta, name: bytes, body: bytes) -> None:
    if name == b"pitm":
        (meta.primary,) = struct.unpack_from(">I" if body[0] else ">H", body, 4)
    elif name == b"iinf":
        for inner, entry in _boxes(body, 8 if body[0] else 6):
            if inner == b"infe" and entry[0] >= 2:
                wide = entry[0] >= 3
                (item,) = struct.unpack_from(">I" if wide else ">H", entry, 4)
                meta.kinds[item] = entry[10:14] if wide else entry[8:12]
    elif name == b"iref":
        for kind, entry in _boxes(body, 4):
            number = "I" if body[0] else "H"
            item, count = struct.unpack_from(f">{number}H", entry)
            meta.references.append(
                (kind, item, list(struct.unpack_from(f">{count}{number}", entry, 6 if body[0] else 4)))
            )
    elif name == b"iprp":
        for inner, content in _boxes(body, 0):
            if inner == b"ipco":
                meta.properties.extend(_boxes(content, 0))
            elif inner == b"ipma":
                _associate(meta, content)


def _associate(meta: _Meta, body: bytes) -> None:
    wide_items, wide_indices = body[0] >= 1, body[3] & 1
    (entries,) = struct.unpack_from(">I", body, 4)
    at = 8
    for _ in range(min(entries, _MAX_BOXES)):
        item, count = struct.unpack_from(">IB" if wide_items else ">HB", body, at)
        at += 5 if wide_items else 3
        indices = struct.unpack_from(f">{count}{'H' if wide_indices else 'B'}", body, at)
        at += count * (2 if wide_indices else 1)
        meta.owned.setdefault(item, []).extend(
            index & (0x7FFF if wide_indices else 0x7F) for index in indices
        )


def _boxes(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            return
        size, name = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        end = at + size if size else len(data)
        if end < begin or end > len(data):
            raise Damaged
        yield name, data[begin:end]
        at = end
