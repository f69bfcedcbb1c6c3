"""What the tracker says of one person before one camera."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict, cast

from facestream.contract.fields import (
    broken,
    check_version,
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
    if fields.get("event") not in EVENTS:
        raise broken("'event' is none of opened, updated, closed")
    best = fields.get("best")
    if not (_is_box(fields.get("box")) and isinstance(best, Mapping) and _is_box(best.get("box"))):
        raise broken("'box' or 'best' is not [x, y, w, h] in fractions of the picture")
    crossings = fields.get("crossings")
    if not isinstance(crossings, list) or not all(isinstance(crossing, Mapping) for crossing in crossings):
        raise broken("'crossings' is not a list of maps")
    return cast(TrackMap, fields)


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(type(part) in (int, float) and math.isfinite(part) for part in value)
    )
