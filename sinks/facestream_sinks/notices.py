"""What a sink says in its log: when something begins to go wrong, when it goes on, and what it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from facestream.errors import ResultsMissed, SinkRefused, SinkUnavailable
from facestream_sinks.hooks import Hooks
from facestream_sinks.record import Record

QUIET_SECONDS = 60.0


class Notices(Hooks):
    """Says each trouble once, and again after a minute of it; and when it is over."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._trouble, self._said_at, self._refusal_at = "", float("-inf"), float("-inf")
        self._sent = self._retried = self._refused = self._missed = 0

    def sent(self, records: Sequence[Record]) -> None:
        self._sent += len(records)
        if self._trouble:
            self._trouble = ""
            self._say("it takes records again")

    def retried(self, error: SinkUnavailable) -> None:
        self._retried += 1
        now, text = time.monotonic(), str(error)
        if text != self._trouble or now - self._said_at >= QUIET_SECONDS:
            self._say(f"{text}; trying again until it goes")
            self._said_at = now
        self._trouble = text

    def refused(self, record: Record, error: SinkRefused, parked: str | None) -> None:
        self._refused += 1
        now = time.monotonic()
        if now - self._refusal_at >= QUIET_SECONDS:
            self._refusal_at = now
            where = f"parked in {parked}" if parked else "the parking is full: it is only counted"
            self._say(f"{record.key}: {error}: {where} ({self._refused:,} refused so far)")

    def missed(self, missed: ResultsMissed) -> None:
        self._missed += missed.count or 0  # the reader of results has said it

    def summary(self) -> str:
        return (
            f"sent {self._sent:,}, tried again {self._retried:,} times, refused {self._refused:,}, "
            f"missed {self._missed:,}"
        )
