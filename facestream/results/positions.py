"""Places in a results stream: entry ids, their times and numbers, and where a reader begins."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from facestream.errors import UsageError

Start = str | datetime | timedelta
"""`latest`, `earliest`, an entry id to go on after, a moment, or how long before now."""

BEGINNING = b"0-0"
_LAST = (1 << 64) - 1
_ENTRY = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")


def check_start(start: Start) -> Start:
    if isinstance(start, timedelta) and start >= timedelta(0):
        return start
    if isinstance(start, datetime):
        return start
    if isinstance(start, str) and (start in ("latest", "earliest") or _ENTRY.fullmatch(start)):
        return start
    raise UsageError(
        f"start={start!r}: use 'latest', 'earliest', a datetime, a timedelta before now, or an entry id"
    )


def milliseconds_of(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])


def number_of(entry: bytes) -> int:
    """Which result of its partition it is, counted from 1; a stranger's entry may say anything."""
    return int(entry.partition(b"-")[2])


def order_of(entry: bytes) -> tuple[int, int]:
    """What to compare ids by."""
    return milliseconds_of(entry), number_of(entry)


def time_of(entry: bytes) -> datetime | None:
    """The broker's time of an entry; None for the beginning of a stream."""
    milliseconds = milliseconds_of(entry)
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if 0 < milliseconds < 1 << 47 else None


def before(entry: bytes) -> bytes:
    """The greatest id that is less."""
    milliseconds, number = milliseconds_of(entry), number_of(entry)
    if number:
        return b"%d-%d" % (milliseconds, number - 1)
    return b"%d-%d" % (milliseconds - 1, _LAST) if milliseconds else BEGINNING


def first_from(start: Start, clock_ms: int) -> bytes:
    """The least id that a reader who begins there wants. `latest` and entry ids have none."""
    if isinstance(start, timedelta):
        return b"%d-0" % max(0, clock_ms - int(start.total_seconds() * 1000))
    if isinstance(start, datetime):
        # One without a zone is of here, as everywhere in Python.
        return b"%d-0" % max(0, int(start.timestamp() * 1000))
    return BEGINNING
