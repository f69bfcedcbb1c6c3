"""What a recording is made of, and its bytes; docs/operations.md describes the file for people.

A recording is one line of text, then entries, each with its length and a checksum before it: written in
one go, readable while it is written, and whole up to the place where it was cut short.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import msgpack

from facestream.contract import (
    MAX_HEADER_BYTES,
    MAX_IMAGE_BYTES,
    FrameHeader,
    RejectMap,
    ResultMap,
    unpack_reject,
    unpack_result,
)
from facestream.errors import FrameRefused, SourceBroken

VERSION: Final = 1
MAGIC: Final = b"facestream recording "
SUFFIX: Final = ".fsrec"
FIRST_LINE: Final = MAGIC + b"%d\n" % VERSION
MAX_CAMERAS: Final = 16
PREFIX: Final = struct.Struct(">II")
_MAX_BYTES: Final = MAX_IMAGE_BYTES + MAX_HEADER_BYTES + 1024
_MAX_TEXT: Final = 2048


@dataclass(frozen=True, slots=True)
class Began:
    """The first entry. pictures: whether frames were asked for; at_us: wall clock, as in every entry."""

    at_us: int
    cameras: tuple[str, ...]
    pictures: bool
    facestream: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A published frame: its header and its picture, as encoded."""

    at_us: int
    header: FrameHeader
    image: bytes


@dataclass(frozen=True, slots=True)
class Result:
    at_us: int
    result: ResultMap


@dataclass(frozen=True, slots=True)
class Reject:
    at_us: int
    reject: RejectMap


@dataclass(frozen=True, slots=True)
class Ended:
    """The last entry of a recording that was not cut short. missed: frames that passed unrecorded."""

    at_us: int
    why: str
    missed: int


Entry = Began | Frame | Result | Reject | Ended


def pack_began(began: Began) -> bytes:
    fields = {"cameras": began.cameras, "pictures": began.pictures, "facestream": began.facestream}
    return _pack("began", began.at_us, fields)


def pack_frame(at_us: int, header: bytes, image: bytes) -> bytes:
    return _pack("frame", at_us, {"h": header, "i": image})


def pack_result(at_us: int, packed: bytes) -> bytes:
    return _pack("result", at_us, {"r": packed})


def pack_reject(at_us: int, packed: bytes) -> bytes:
    return _pack("reject", at_us, {"r": packed})


def pack_ended(ended: Ended) -> bytes:
    return _pack("ended", ended.at_us, {"why": ended.why, "missed": ended.missed})


def _pack(kind: str, at_us: int, fields: dict[str, Any]) -> bytes:
    body: bytes = msgpack.packb({"kind": kind, "at_us": at_us} | fields)
    return PREFIX.pack(len(body), crc32(body)) + body


def body_bytes(prefix: bytes) -> int:
    """How long the body after this prefix is; raises SourceBroken when no entry is that long."""
    length: int = PREFIX.unpack(prefix)[0]
    if length > _MAX_BYTES:
        raise SourceBroken("an entry of impossible length")
    return length


def unpack(prefix: bytes, body: bytes) -> Entry | None:
    """An entry; None for a kind that a later release added. Raises SourceBroken for what is damaged."""
    if crc32(body) != PREFIX.unpack(prefix)[1]:
        raise SourceBroken("an entry that does not match its checksum")
    try:
        fields = msgpack.unpackb(
            body,
            max_bin_len=MAX_IMAGE_BYTES,
            max_str_len=_MAX_TEXT,
            max_array_len=MAX_CAMERAS,
            max_map_len=64,
            max_ext_len=0,
        )
        return _entry(fields)
    except FrameRefused as error:
        raise SourceBroken(f"an entry that is not of the contract ({error})") from None
    except Exception as error:
        # msgpack raises a dozen kinds on hostile bytes, and a field may be of any type or missing.
        raise SourceBroken(f"an entry that is none ({type(error).__name__})") from None


def _entry(fields: dict[str, Any]) -> Entry | None:
    at_us = _number(fields["at_us"])
    match fields["kind"]:
        case "frame":
            return Frame(at_us, FrameHeader.unpack(_bytes(fields["h"])), _bytes(fields["i"]))
        case "result":
            return Result(at_us, unpack_result(_bytes(fields["r"])))
        case "reject":
            return Reject(at_us, unpack_reject(_bytes(fields["r"])))
        case "began":
            cameras = tuple(str(name) for name in fields["cameras"])
            return Began(at_us, cameras, bool(fields["pictures"]), str(fields["facestream"]))
        case "ended":
            return Ended(at_us, str(fields["why"]), _number(fields["missed"]))
    return None


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 2**53:
        raise ValueError
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value
