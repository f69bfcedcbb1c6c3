"""Reading without a group: the place is kept here, and nobody else is affected."""

from __future__ import annotations

from typing import Any

from facestream.bus.requests import Command, Contact, Pause, Steps, Together
from facestream.errors import BusUnavailable
from facestream.results.inbox import Inbox
from facestream.results.partition import PAGE, Partition, entries_by_stream, find_start
from facestream.results.positions import BEGINNING, Start, number_of

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
            self._arrive((yield self._reading(streams, block)))
            return
        replies = yield Together(tuple([self._reading([stream]) for stream in streams]))
        if not sum([self._arrive(reply) for reply in replies]):
            yield Pause(min(wait_seconds, POLL_SECONDS))

    def close(self) -> Steps[None]:
        yield from ()

    def _reading(self, streams: list[str], block: tuple[Any, ...] = ()) -> Command:
        places = [self._partitions[stream].last or BEGINNING for stream in streams]
        return Command(streams[0], ("XREAD", "COUNT", PAGE, *block, "STREAMS", *streams, *places))

    def _arrive(self, reply: Any) -> int:
        count = 0
        for stream, entries in entries_by_stream(reply):
            partition = self._partitions[stream]
            gap = partition.gap_before(entries[0][0])
            if gap < 0 and not partition.is_doubted and number_of(entries[0][0]):
                # Counted from 1 again: contact is made anew, and tells whether the broker has forgotten all.
                partition.is_doubted = True
                raise BusUnavailable("the broker may have begun anew")
            partition.is_doubted = False
            if gap > 0:
                self._inbox.miss(partition.missed(gap, entries[0][0]))
            partition.last = entries[-1][0]
            count += self._inbox.arrive(partition.number, entries)
        return count
