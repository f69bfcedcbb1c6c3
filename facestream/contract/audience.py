"""What the tracker says of one minute before one camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict, cast

from facestream.contract.fields import (
    are_numbers,
    broken,
    check_version,
    is_map_with,
    is_whole,
    pack,
    read_camera,
    read_integer,
    unpack_map,
)

MAX_AUDIENCE_BYTES: Final = 4096
MINUTE_US: Final = 60_000_000


class PresentMap(TypedDict):
    median: float
    p90: float


class PassagesMap(TypedDict):
    entries: int | None
    exits: int | None


class AudienceMap(TypedDict):
    """One minute's figures. None where there is nothing to say, or where it is withheld."""

    v: int
    camera: str
    minute_us: int
    revision: int
    final: bool
    people: int | None
    labels: dict[str, int] | None
    left: int | None
    left_labels: dict[str, int] | None
    present_s: PresentMap | None
    lines: dict[str, PassagesMap]
    no_data: float
    withheld: bool


def pack_audience(minute: AudienceMap) -> bytes:
    return pack(minute)


def unpack_audience(data: bytes) -> AudienceMap:
    """Raises FrameRefused (contract_error) on anything but audience figures of this version."""
    fields = unpack_map(data, MAX_AUDIENCE_BYTES, max_items=64)
    check_version(fields)
    read_camera(fields)
    if read_integer(fields, "minute_us") % MINUTE_US:
        raise broken("'minute_us' is not the begin of a minute")
    read_integer(fields, "revision")
    for name, check in _SHAPES.items():
        if name not in fields or not check(fields[name]):
            raise broken(f"'{name}' is not of its kind")
    return cast(AudienceMap, fields)


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_count(value: Any) -> bool:
    return value is None or is_whole(value)


def _is_split(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(is_whole, value.values())))


def _is_number(value: Any) -> bool:
    return are_numbers([value], 1)


def _is_present(value: Any) -> bool:
    return value is None or is_map_with(value, median=_is_number, p90=_is_number)


def _are_lines(value: Any) -> bool:
    return isinstance(value, dict) and all(
        is_map_with(line, entries=_is_count, exits=_is_count) for line in value.values()
    )


_SHAPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "final": _is_flag,
    "people": _is_count,
    "labels": _is_split,
    "left": _is_count,
    "left_labels": _is_split,
    "present_s": _is_present,
    "lines": _are_lines,
    "no_data": _is_number,
    "withheld": _is_flag,
}
