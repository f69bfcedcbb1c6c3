"""Reading without a group: the place is kept here, and nobody else is affected."""

from __future__ import annotations

from facestream.bus.requests import Command, Contact, Pause, Steps, Together
from facestream.results.inbox import Inbox
from facestream.results.partition import PAGE, Partition, entries_by_stream, find_start
from facestream.results.positions import BEGINNING, Start

POLL_SECONDS = 0.05
"""How often a cluster is asked: it refuses one read over several slots."""


class PlainFeed:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._partitions: dict[str, Partition] = {}
        self._is_cluster = False

    def open(
        self, partitions: dict[str, Partition], contact: Contact, start: Start, *, is_anew: bool
    ) -> Steps[None]:
        """Find the place of each partition; `is_anew`: the broker has forgotten all we knew of it."""
        self._partitions, self._is_cluster = partitions, contact.is_cluster
        for partition in partitions.values():
            if is_anew and partition.last is not None:
                self._inbox.miss(partition.missed(None, None))
                partition.last = BEGINNING
            if partition.last is None:
                partition.last = yield from find_start(partition, start, contact)

    def is_due(self) -> bool:
        return False

    def tidy(self, *, is_urgent: bool = False) -> Steps[None]:
        """Nothing to acknowledge, and nobody to take over from."""
        yield from ()

    def fetch(self, wait_seconds: float, most: int | None) -> Steps[None]:
        """Bring what there is into the inbox; waits for something so long. Nobody minds how much it is."""
        streams = list(self._partitions)
        if not self._is_cluster:
            block = ("BLOCK", max(1, int(wait_seconds * 1000)))
            reply = yield Command(
                ("XREAD", "COUNT", PAGE, *block, "STREAMS", *streams, *self._places(streams))
            )
            self._arrive(reply)
            return
        commands = [("XREAD", "COUNT", PAGE, "STREAMS", name, *self._places([name])) for name in streams]
        replies = yield Together(tuple(commands))
        if not sum([self._arrive(reply) for reply in replies]):
            yield Pause(min(wait_seconds, POLL_SECONDS))

    def close(self) -> Steps[None]:
        yield from ()

    def _places(self, streams: list[str]) -> list[bytes]:
        return [self._partitions[stream].last or BEGINNING for stream in streams]

    def _arrive(self, reply: object) -> int:
        count = 0
        for stream, entries in entries_by_stream(reply):
            partition = self._partitions[stream]
            gap = partition.gap_before(entries[0][0])
            if gap > 0:
                self._inbox.miss(partition.missed(gap, entries[0][0]))
            partition.last = entries[-1][0]
            count += self._inbox.arrive(partition.number, entries)
        return count
