"""What is said of a track, as the contract has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from facestream.contract import TrackMap
from facestream_tracker.track import PARTS, Point, Track
from facestream_tracker.tracker import Change

_VERSION: Final = 1


def describe_track(camera: str, epoch: int, change: Change, track: Track) -> TrackMap:
    """The event that tells of this change. `number`: 0 for the first of the track, and so on."""
    event: TrackMap = {
        "v": _VERSION,
        "camera": camera,
        "epoch": epoch,
        "track": track.id,
        "event": change.value,
        "number": track.told if change is Change.CLOSED else track.told - 1,
        "first_seen_us": track.first_us,
        "last_seen_us": track.last_us,
        "observations": track.observations,
        "box": _fractions(track.path[-1]),
        "best": {
            "seq": track.best.seq,
            "at_us": track.best.at_us,
            "box": _rounded(track.best.box),
            "quality": round(track.best.quality, 4),
        },
        "crossings": [
            {"line": line, "direction": direction, "at_us": at_us}
            for line, direction, at_us in track.crossings
        ],
    }
    gender, age = track.labels.to_map(), track.years.to_map()
    if gender is not None:
        event["gender"] = gender
    if age is not None:
        event["age"] = age
    if change is Change.CLOSED:
        event["path"] = [[point[0], *_fractions(point)] for point in track.path]
    return event


def _rounded(box: Iterable[float]) -> list[float]:
    """A ten-thousandth of a picture is less than a pixel."""
    return [round(part, 4) for part in box]


def _fractions(point: Point) -> list[float]:
    return [part / PARTS for part in point[1:]]
