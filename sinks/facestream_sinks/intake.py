"""Results from the broker as records, from a consumer group of the sink's own."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.errors import ResultsMissed
from facestream.results.reader import ResultReader
from facestream_sinks.hooks import Hooks
from facestream_sinks.record import Record, record_of


class Intake:
    """Reads as one consumer of a group. What is not acknowledged comes again, here or at another consumer."""

    def __init__(self, reader: ResultReader, hooks: Hooks) -> None:
        self._reader, self._hooks = reader, hooks

    def read(self, most: int, wait_seconds: float) -> list[Record]:
        """What came, at most so much; nothing when nothing came in time, or the broker is away."""
        items = self._reader.read(most, wait_seconds)
        for item in items:
            if isinstance(item, ResultsMissed):
                self._hooks.missed(item)
        return [record_of(item) for item in items]

    def acknowledge(self, records: Sequence[Record]) -> None:
        """These are with the receiver for good: the broker need not keep them for us."""
        self._reader.acknowledge(*(record.result for record in records if record.result is not None))
