"""What the tracker says of one minute before one camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict, cast

from facestream.contract.fields import (
    broken,
    check_version,
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
    for name in ("final", "withheld"):
        if type(fields.get(name)) is not bool:
            raise broken(f"'{name}' is neither true nor false")
    for name in ("people", "left"):
        if fields.get(name) is not None:
            read_integer(fields, name)
    for name in ("labels", "left_labels"):
        if not (fields.get(name) is None or _are_counts(fields[name])):
            raise broken(f"'{name}' is not a map of counts")
    lines = fields.get("lines")
    if not isinstance(lines, Mapping) or not all(isinstance(line, Mapping) for line in lines.values()):
        raise broken("'lines' is not a map of maps")
    if type(fields.get("no_data")) not in (int, float):
        raise broken("'no_data' is not a number")
    return cast(AudienceMap, fields)


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(type(count) is int and count >= 0 for count in value.values())
