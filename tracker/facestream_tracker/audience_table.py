"""Audience figures as people read them: a line for each minute, all of one width, so that more may follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from facestream.contract import AudienceMap
from facestream.printable import printable
from facestream_tracker.observation import LABELS, UNKNOWN

_LAYOUT = "{:<16}  {:<20}  {:>6}  {:>20}  {:>5}  {:>13}  {:>7}  {}"
HEAD = _LAYOUT.format(
    "minute", "camera", "people", "f / m / unknown", "left", "present s", "no data", "lines"
)
_WITHHELD = "-"


def newest(minutes: Sequence[AudienceMap], last: int) -> list[AudienceMap]:
    """Of each minute what was said last, in the order of time; of each camera so many."""
    best: dict[tuple[str, int], AudienceMap] = {}
    for minute in minutes:
        name = minute["camera"], minute["minute_us"]
        if name not in best or minute["revision"] >= best[name]["revision"]:
            best[name] = minute
    kept: list[AudienceMap] = []
    for camera in {camera for camera, _ in best}:
        kept += sorted((m for (of, _), m in best.items() if of == camera), key=_at)[-last:]
    return sorted(kept, key=lambda minute: (minute["minute_us"], minute["camera"]))


def row(minute: AudienceMap) -> str:
    began = datetime.fromtimestamp(minute["minute_us"] / 1e6).astimezone()
    present = minute["present_s"]
    lines = ", ".join(
        f"{printable(name, 32)} +{_count(passed['entries'])} -{_count(passed['exits'])}"
        for name, passed in minute["lines"].items()
    )
    cells = (
        f"{began:%Y-%m-%d %H:%M}",
        minute["camera"],
        _count(minute["people"]),
        _split(minute["labels"]),
        _count(minute["left"]),
        f"{present['median']:.0f}, {present['p90']:.0f}" if present else "",
        f"{minute['no_data']:.0%}" if minute["no_data"] else "",
        lines + ("" if minute["final"] else "  (may change)"),
    )
    return _LAYOUT.format(*cells).rstrip()


def _at(minute: AudienceMap) -> int:
    return minute["minute_us"]


def _count(count: int | None) -> str:
    return _WITHHELD if count is None else f"{count:,}"


def _split(counts: dict[str, int] | None) -> str:
    if counts is None:
        return _WITHHELD
    return " / ".join(f"{counts.get(name, 0):,}" for name in (*LABELS, UNKNOWN))
