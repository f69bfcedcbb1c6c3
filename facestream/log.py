"""What a process says while it works: words for people, or one JSON object a line for machines."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TextIO

Form = Literal["console", "json"]
Level = Literal["info", "warning", "error"]

QUIET_SECONDS: Final = 10.0
VARIABLE: Final = "FACESTREAM_LOG"
# How `facestream` begins a line of its own, in words.
OWN: Final = "facestream: "


class Say(Protocol):
    """Takes one line: its words, what kind of event it is, and about what (camera, epoch, seq, reason …)."""

    def __call__(
        self, text: str, *, event: str = ..., level: Level = ..., **about: str | int | None
    ) -> None: ...


class Log:
    """One line at a time on standard error, or on `stream`, whole even when several threads speak.

    In words: `lead` and the text. As JSON: `time` (UTC), `level`, `process` (what kind), `name` where it has
    one, `event`, what it is about, and `text`. A Log is a Say.
    """

    def __init__(
        self,
        process: str,
        name: str = "",
        *,
        form: Form = "console",
        lead: str = "",
        stream: TextIO | None = None,
    ) -> None:
        self._process, self._name, self._form, self._lead = process, name, form, lead
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(
        self, text: str, *, event: str = "notice", level: Level = "info", **about: str | int | None
    ) -> None:
        if self._form == "console":
            self._write(self._lead + text)
        else:
            self._write(self._as_json(text, event, level, about.items()))

    def relay(self, line: str) -> None:
        """A line of a child process: one that is JSON already, or in words, goes on as what it is."""
        if self._form == "console" or line.startswith("{"):
            self._write(line)
        else:
            self(line, event="process", level="warning")

    def _as_json(self, text: str, event: str, level: Level, about: Iterable[tuple[str, object]]) -> str:
        said = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "process": self._process,
            "name": self._name or None,
            "event": event,
            **dict(about),
            "text": text.removeprefix(OWN),
        }
        return json.dumps(
            {key: value for key, value in said.items() if value is not None}, ensure_ascii=False
        )

    def _write(self, line: str) -> None:
        with self._lock:
            print(line, file=self._stream or sys.stderr, flush=True)


def hear(logger: str, say: Callable[[str], object]) -> None:
    """What is logged by this logger goes where everything else is said, and nowhere else."""
    import logging

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    found = logging.getLogger(logger)
    found.handlers = [Heard()]
    found.propagate = False


class Seldom:
    """Lets one event through in QUIET_SECONDS, and counts those it held back."""

    def __init__(self) -> None:
        self._unsaid, self._said_at = 0, float("-inf")

    def due(self) -> int:
        """0 when this event is not to be said now; else how many it stands for, itself included."""
        self._unsaid += 1
        if time.monotonic() - self._said_at < QUIET_SECONDS:
            return 0
        unsaid, self._unsaid, self._said_at = self._unsaid, 0, time.monotonic()
        return unsaid


def last_words(text: str, arguments: Iterable[str]) -> None:
    """The line with which a command ends. A child's is in words: whoever started it looks for it."""
    is_json = os.environ.get(VARIABLE) == "json" and "--follow-stdin" not in arguments
    form: Form = "json" if is_json else "console"
    Log("facestream", form=form, lead=OWN)(text, event="end", level="error")
