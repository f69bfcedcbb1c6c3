"""Whether the receiver takes records, as /readyz says it, and whether the loop turns, as /healthz does."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.errors import SinkRefused, SinkUnavailable
from facestream.vitals import Health
from facestream_sinks.hooks import Hooks
from facestream_sinks.record import Record

RECEIVER = "receiver"
LOOP = "the loop"


class Readiness(Hooks):
    def __init__(self, health: Health) -> None:
        self._health = health

    def taken(self, records: Sequence[Record]) -> None:
        self._health.beat(LOOP)

    def retried(self, error: SinkUnavailable) -> None:
        self._health.beat(LOOP)
        self._health.lack(RECEIVER, str(error))

    def sent(self, records: Sequence[Record]) -> None:
        self._health.beat(LOOP)
        self._health.have(RECEIVER)

    def refused(self, record: Record, error: SinkRefused, parked: str | None) -> None:
        self._health.beat(LOOP)
        self._health.have(RECEIVER)
