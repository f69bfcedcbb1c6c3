"""How `facestream results` writes a result: as a table, JSON Lines or CSV."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

from facestream.errors import UsageError
from facestream.json_line import json_line
from facestream.printable import printable
from facestream.results.result import Face, Result

_AGO = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

COLUMNS = (
    *("camera", "epoch", "seq", "captured_at", "clock", "completed_at", "face", "x", "y", "width", "height"),
    *("score", "apparent_gender", "gender_score", "apparent_age", "age_score"),
)


class Format(Protocol):
    def head(self) -> Iterator[str]:
        """Lines before the first result."""

    def lines(self, result: Result) -> Iterator[str]:
        """One result's lines."""


def choose_format(*, as_table: bool, as_json: bool, as_csv: bool) -> Format:
    """What was asked for; else a table for people and JSON for programs."""
    if as_table + as_json + as_csv > 1:
        raise UsageError("one of --table, --json and --csv")
    if as_csv:
        return Csv()
    return Table() if as_table or (sys.stdout.isatty() and not as_json) else Json()


def parse_since(text: str) -> timedelta | datetime:
    """`10m` ago, or a time of this machine's clock such as 2026-11-27T18:00."""
    if ago := _AGO.fullmatch(text):
        try:
            return timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text[:40]!r}: 90s, 10m, 2h or 1d ago, or a time such as 2026-11-27T18:00"
        ) from None


class Json:
    def head(self) -> Iterator[str]:
        yield from ()

    def lines(self, result: Result) -> Iterator[str]:
        yield json_line(result.raw)


class Csv:
    def head(self) -> Iterator[str]:
        yield _row(COLUMNS)

    def lines(self, result: Result) -> Iterator[str]:
        about = (result.camera, result.epoch, result.seq, result.captured_at.isoformat(), result.clock)
        for number, face in enumerate(result.faces):
            gender = face.gender or ("", "")
            years, age_score = face.age or ("", "")
            answers = (face.score, *gender, "" if years is None else years, age_score)
            yield _row((*about, result.completed_at.isoformat(), number, *face.box, *answers))


class Table:
    """A line a result, as it comes: what a table needs to know of all its rows, a stream has not."""

    def head(self) -> Iterator[str]:
        yield f"{'captured':<12}  {'camera':<12}  {'seq':>7}  {'took':>8}  faces  apparent gender and age"

    def lines(self, result: Result) -> Iterator[str]:
        captured_at = result.captured_at.astimezone()
        is_today = captured_at.date() == datetime.now(UTC).astimezone().date()
        when = f"{captured_at:%H:%M:%S.%f}"[:-3] if is_today else f"{captured_at:%m-%d %H:%M}"
        took_ms = (result.completed_at - result.captured_at) / timedelta(milliseconds=1)
        # A camera's clock may be wrong, and a worker's: a negative time says nothing.
        took = f"{took_ms:,.0f} ms" if 0 <= took_ms < 1e6 else "-"
        faces = ", ".join(map(describe, result.faces))
        line = f"{when:<12}  {result.camera:<12}  {result.seq:>7}  {took:>8}  {len(result.faces):>5}  {faces}"
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else len(line)
        yield (line if len(line) <= width else line[: max(0, width - 1)] + "…").rstrip()


def describe(face: Face) -> str:
    """`female 0.97, 31` or what there is of it; of a face that nothing was asked about, its score."""
    parts = []
    if (gender := face.gender) is not None:
        parts.append(f"{printable(gender.label, 32)} {gender.score:.2f}")
    if (age := face.age) is not None and age.years is not None:
        parts.append(f"{age.years:.0f}y")
    return " ".join(parts) or f"face {face.score:.2f}"


def _row(cells: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
