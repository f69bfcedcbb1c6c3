"""What the tracker says of one person before one camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NotRequired, TypedDict, cast

from facestream.contract.fields import (
    are_numbers,
    broken,
    check_version,
    is_map_with,
    is_whole,
    pack,
    read_camera,
    read_integer,
    read_text,
    unpack_map,
)

MAX_TRACK_BYTES: Final = 64 << 10
EVENTS: Final = frozenset({"opened", "updated", "closed"})


class TrackLabelMap(TypedDict):
    label: str
    score: float
    looks: int


class TrackYearsMap(TypedDict):
    years: float
    spread: float
    looks: int


class BestMap(TypedDict):
    seq: int
    at_us: int
    box: list[float]
    quality: float


class CrossingMap(TypedDict):
    line: str
    direction: str
    at_us: int


class TrackMap(TypedDict):
    """One event of a track: what is known of it at that moment, never how it came about."""

    v: int
    camera: str
    epoch: int
    track: str
    event: str
    number: int
    first_seen_us: int
    last_seen_us: int
    observations: int
    box: list[float]
    best: BestMap
    crossings: list[CrossingMap]
    gender: NotRequired[TrackLabelMap]
    age: NotRequired[TrackYearsMap]
    path: NotRequired[list[list[float]]]


def pack_track(track: TrackMap) -> bytes:
    return pack(track)


def unpack_track(data: bytes) -> TrackMap:
    """Raises FrameRefused (contract_error) on anything but a track event of this version."""
    fields = unpack_map(data, MAX_TRACK_BYTES, max_items=4096)
    check_version(fields)
    read_camera(fields)
    read_text(fields, "track")
    for name in ("epoch", "number", "first_seen_us", "last_seen_us", "observations"):
        read_integer(fields, name)
    event = fields.get("event")
    if not (isinstance(event, str) and event in EVENTS):
        raise broken("'event' is none of opened, updated, closed")
    for name, check in _SHAPES.items():
        if (name in fields or name in _REQUIRED) and not check(fields.get(name)):
            raise broken(f"'{name}' is not of its kind")
    return cast(TrackMap, fields)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return are_numbers([value], 1)


def _is_box(value: Any) -> bool:
    return are_numbers(value, 4)


def _is_best(value: Any) -> bool:
    return is_map_with(value, seq=is_whole, at_us=is_whole, box=_is_box, quality=_is_number)


def _are_crossings(value: Any) -> bool:
    return isinstance(value, list) and all(
        is_map_with(each, line=_is_text, direction=_is_text, at_us=is_whole) for each in value
    )


def _is_label(value: Any) -> bool:
    return is_map_with(value, label=_is_text, score=_is_number, looks=is_whole)


def _is_age(value: Any) -> bool:
    return is_map_with(value, years=_is_number, spread=_is_number, looks=is_whole)


def _is_path(value: Any) -> bool:
    return isinstance(value, list) and all(are_numbers(point, 5) for point in value)


_REQUIRED: Final = frozenset({"box", "best", "crossings"})
_SHAPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "box": _is_box,
    "best": _is_best,
    "crossings": _are_crossings,
    "gender": _is_label,
    "age": _is_age,
    "path": _is_path,
}
