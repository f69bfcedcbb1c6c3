"""Tracks as people read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from facestream.contract import TrackMap
from facestream_tracker.observation import LABELS, UNKNOWN
from facestream_tracker.track import SECOND_US

CAUTION = "labels are apparent, as annotators perceived; never decide anything about a person by them"


def draw(tracks: Sequence[TrackMap]) -> Table:
    """A line for each closed track, by camera and the time it began."""
    people = sorted(_closed(tracks), key=lambda track: (track["camera"], track["epoch"], _began(track)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("camera", "track", "from s", "present s", "frames", "gender", "age", "lines"):
        is_number = column in ("from s", "present s", "frames")
        table.add_column(column, justify="right" if is_number else "left")
    for track in people:
        table.add_row(*map(Text, _cells(track)))
    return table


def sentence(tracks: Sequence[TrackMap]) -> str:
    people = _closed(tracks)
    if not people:
        return "no people: no face was seen often enough"
    noun = "person" if len(people) == 1 else "people"
    labels = Counter(track["gender"]["label"] for track in people if "gender" in track)
    split = ", ".join(f"{name} {labels[name]:,}" for name in (*LABELS, UNKNOWN) if labels[name])
    return f"{len(people):,} {noun}" + (f": {split}" if split else "")


def caution(tracks: Sequence[TrackMap]) -> str:
    return CAUTION if any("gender" in track or "age" in track for track in tracks) else ""


def _closed(tracks: Sequence[TrackMap]) -> list[TrackMap]:
    return [track for track in tracks if track["event"] == "closed"]


def _began(track: TrackMap) -> int:
    return track["first_seen_us"]


def _cells(track: TrackMap) -> list[str]:
    passed = Counter((crossing["line"], crossing["direction"]) for crossing in track["crossings"])
    return [
        track["camera"],
        track["track"].partition(".")[2],
        # Of a file this is its own time; of a camera, that since its producer began.
        f"{max(0, _began(track) - track['epoch']) / SECOND_US:.1f}",
        f"{(track['last_seen_us'] - _began(track)) / SECOND_US:.1f}",
        f"{track['observations']:,}",
        f"{track['gender']['label']} {track['gender']['score']:.2f}" if "gender" in track else "",
        f"{track['age']['years']:.0f} ± {track['age']['spread']:.0f}" if "age" in track else "",
        ", ".join(
            f"{line} {direction}" + (f" x{count}" if count > 1 else "")
            for (line, direction), count in passed.items()
        ),
    ]
