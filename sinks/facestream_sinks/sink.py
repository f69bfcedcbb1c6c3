"""Where results go: the one interface that files, webhooks and MQTT share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from facestream_sinks.record import Record


@dataclass(frozen=True, slots=True)
class Limits:
    """What is given to a sink at a time, at most; one record that is larger is given alone."""

    records: int
    bytes: int


class Sink(Protocol):
    """A receiver of records.

    limits: how much `deliver` takes at a time. shown: what it is, without a credential, as messages have it.
    """

    limits: Limits
    shown: str

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when the receiver has all of them for good: on its disk, or acknowledged by it.

        Raises SinkUnavailable when it is to be tried again, which may give it some of them twice, and
        SinkRefused when it will never take them together.
        """

    def rest(self) -> None:
        """Called between batches, at least once a second: a moment for what is due by the clock."""

    def close(self) -> None:
        """Let go of the receiver; nothing is on its way."""
