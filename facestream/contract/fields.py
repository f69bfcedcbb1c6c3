"""Reading what came from the broker: bounded before it is believed, and each field checked.

Every reader raises FrameRefused (contract_error) in words that name the field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgpack

from facestream.contract.reasons import DropReason
from facestream.errors import FrameRefused
from facestream.names import is_camera_name

VERSION: Final = 1

# Room for the largest zone: 17 polygons of 64 points.
MAX_HEADER_BYTES: Final = 16 << 10
MAX_REJECT_BYTES: Final = 4096
MAX_RESULT_BYTES: Final = 4 << 20
MAX_IMAGE_BYTES: Final = 32 << 20
MAX_SIDE: Final = 16_384
MAX_PIXELS: Final = 100_000_000
# In bytes: a name of 500 characters takes up to four bytes each.
_MAX_TEXT: Final = 2048
_MAX_INTEGER: Final = 2**53
# Not by isinstance: True is no number here.
_NUMBERS: Final = frozenset({int, float})

Clock = Literal["receipt", "sender", "file"]
CLOCKS: Final = frozenset({"receipt", "sender", "file"})


def broken(what: str) -> FrameRefused:
    return FrameRefused(DropReason.CONTRACT_ERROR, what)


def pack(fields: Mapping[str, Any], *, single_floats: bool = False) -> bytes:
    # A file's name need not be Unicode: what cannot be encoded becomes a question mark.
    return cast(bytes, msgpack.packb(fields, unicode_errors="replace", use_single_float=single_floats))


def unpack_map(data: bytes, max_bytes: int, max_items: int) -> dict[str, Any]:
    if len(data) > max_bytes:
        raise broken(f"{len(data)} bytes where at most {max_bytes} are allowed")
    try:
        fields = msgpack.unpackb(
            data,
            max_str_len=_MAX_TEXT,
            max_bin_len=0,
            max_ext_len=0,
            max_array_len=max_items,
            max_map_len=max_items,
        )
    except Exception as error:
        # msgpack raises a dozen kinds, builtins among them, on hostile bytes; all mean the same here.
        raise broken(f"not msgpack within bounds ({type(error).__name__})") from None
    if not isinstance(fields, dict):
        raise broken(f"a msgpack {type(fields).__name__} where a map is expected")
    return fields


def check_version(fields: Mapping[str, Any]) -> None:
    version = fields.get("v")
    if type(version) is not int or version < 1:
        raise broken("no schema version 'v'")
    if version > VERSION:
        raise broken(f"schema version {version} is from the future, this one reads {VERSION}: upgrade")


def read_camera(fields: Mapping[str, Any]) -> str:
    camera = fields.get("camera")
    if not is_camera_name(camera):
        raise broken("'camera' is not a valid camera name")
    return cast(str, camera)


def read_text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise broken(f"'{name}' is not text")
    return value


def read_clock(fields: Mapping[str, Any]) -> Clock:
    clock = fields.get("clock")
    if not isinstance(clock, str) or clock not in CLOCKS:
        raise broken("'clock' is none of receipt, sender, file")
    return cast(Clock, clock)


def read_integer(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= _MAX_INTEGER:
        raise broken(f"'{name}' is not a whole number from 0 to 2^53")
    return value


def read_size(fields: Mapping[str, Any], width_name: str, height_name: str) -> tuple[int, int]:
    width, height = read_integer(fields, width_name), read_integer(fields, height_name)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise broken(f"{width_name} x {height_name} of {width} x {height} is out of bounds")
    return width, height


def read_region(fields: Mapping[str, Any], width: int, height: int) -> tuple[int, int, int, int]:
    region = fields.get("region")
    if (
        isinstance(region, Sequence)
        and len(region) == 4
        and all(type(number) is int and number >= 0 for number in region)
        and region[0] + region[2] <= width
        and region[1] + region[3] <= height
    ):
        x, y, w, h = region
        return x, y, w, h
    raise broken("'region' is not [x, y, w, h] inside the source picture")


def is_whole(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_INTEGER


def are_numbers(values: object, count: int) -> bool:
    """Whether it is a list of so many finite numbers."""
    if not isinstance(values, list) or len(values) != count or not _NUMBERS.issuperset(map(type, values)):
        return False
    # A sum of finite numbers is finite, but for some that are larger than anything we have: these one by one.
    return math.isfinite(sum(values)) or all(map(math.isfinite, values))


def is_map_with(value: object, **checks: Callable[[Any], bool]) -> bool:
    """Whether it is a map that has all these fields, each passing its check; others are ignored."""
    return isinstance(value, dict) and all(
        name in value and check(value[name]) for name, check in checks.items()
    )
