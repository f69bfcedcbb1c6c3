"""The loop of a sink: results leave the broker when the receiver has them, and not before."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from facestream.backoff import Backoff
from facestream.errors import SinkRefused, SinkUnavailable
from facestream_sinks.hooks import Hooks
from facestream_sinks.intake import Intake
from facestream_sinks.parking import Parking
from facestream_sinks.record import Record
from facestream_sinks.sink import Limits, Sink

POLL_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0


def run(intake: Intake, sink: Sink, parking: Parking, hooks: Hooks, patience: Patience) -> None:
    """Carry results to the sink, in batches, until asked to stop.

    Each is acknowledged to the broker when the sink has it, or when it is parked; whatever happens before
    that, it is sent again by this process or the next: at least once, and never lost in between.
    """
    while not patience.is_asked_to_stop:
        records = intake.read(sink.limits.records, POLL_SECONDS)
        hooks.taken(records)
        for batch in batches(records, sink.limits):
            if not deliver(batch, sink, parking, hooks, patience):
                return
            intake.acknowledge(batch)
        hooks.done()
        sink.rest()


def deliver(batch: Sequence[Record], sink: Sink, parking: Parking, hooks: Hooks, patience: Patience) -> bool:
    """Bring a batch to the sink, or what it refuses of it to the parking; False when time is up."""
    backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
    while True:
        try:
            sink.deliver(batch)
        except SinkUnavailable as error:
            hooks.retried(error)
            if not patience.wait(error.retry_after_seconds or backoff.next_seconds()):
                return False
        except SinkRefused as error:
            if len(batch) == 1:
                return park(batch[0], error, parking, hooks, patience)
            # One of them is in the way: the others go on without it.
            middle = len(batch) // 2
            halves = batch[:middle], batch[middle:]
            return all(deliver(half, sink, parking, hooks, patience) for half in halves)
        else:
            hooks.sent(batch)
            return True


def park(record: Record, error: SinkRefused, parking: Parking, hooks: Hooks, patience: Patience) -> bool:
    """Put away what the receiver will never take, so that it stands in nobody's way."""
    backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
    while True:
        try:
            place = parking.add(record, str(error))
        except SinkUnavailable as trouble:
            hooks.retried(trouble)
            if not patience.wait(backoff.next_seconds()):
                return False
        else:
            hooks.refused(record, error, place)
            return True


def batches(records: Sequence[Record], limits: Limits) -> Iterator[Sequence[Record]]:
    """The records in order, in parts that are within the limits."""
    part: list[Record] = []
    size = 0
    for record in records:
        if part and (len(part) >= limits.records or size + len(record.body) > limits.bytes):
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.body)
    if part:
        yield part


class Patience:
    """How long to try: for ever, and for `grace_seconds` more once somebody asks to stop."""

    def __init__(self, stop: threading.Event, grace_seconds: float) -> None:
        self._stop, self._grace_seconds = stop, grace_seconds
        self._until: float | None = None

    @property
    def is_asked_to_stop(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Pause before the next try; False when there is to be none. Asked to stop, it pauses for moments."""
        if self._until is None and not self._stop.wait(seconds):
            return True
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._grace_seconds
            return True
        time.sleep(max(0.0, min(seconds, FIRST_BACKOFF_SECONDS, self._until - now)))
        return time.monotonic() < self._until
