"""What is said of a track, as the contract has it."""

from __future__ import annotations

from typing import Final

from facestream.contract import TrackMap
from facestream_tracker.track import Track
from facestream_tracker.tracker import Change

_VERSION: Final = 1


def describe_track(camera: str, epoch: int, change: Change, track: Track) -> TrackMap:
    """The event that tells of this change. `number`: 0 for the first of the track, and so on."""
    _, *box = track.path[-1]
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
        "box": box,
        "best": {
            "seq": track.best.seq,
            "at_us": track.best.at_us,
            "box": list(track.best.box),
            "quality": track.best.quality,
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
        event["path"] = [list(point) for point in track.path]
    return event
