"""One consumer of a group: what it reads in its own name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facestream.bus.requests import Command, Steps
from facestream.errors import ResultsMissed
from facestream.results.inbox import Inbox
from facestream.results.partition import Partition, entries_by_stream
from facestream.results.positions import order_of, time_of
from facestream.results.wishes import Wishes


class Member:
    def __init__(self, wishes: Wishes, inbox: Inbox) -> None:
        assert wishes.group is not None
        self.group, self.name = wishes.group, wishes.consumer
        self._inbox = inbox

    def reading(
        self, most: int, streams: Sequence[str], after: Sequence[object], block_ms: int = 0
    ) -> Command:
        block = ("BLOCK", block_ms) if block_ms else ()
        who = ("GROUP", self.group, self.name)
        return Command(streams[0], ("XREADGROUP", *who, "COUNT", most, *block, "STREAMS", *streams, *after))

    def read_history(self, partition: Partition, after: bytes, most: int) -> Steps[Any]:
        """What is in our name; reading it makes it new: the time it has been in our hands begins again."""
        reply = yield self.reading(most, [partition.stream], [after])
        return [entry for _, entries in entries_by_stream(reply) for entry in entries]

    def take_gone(self, partition: Partition, entries: Sequence[bytes]) -> None:
        """They were delivered to somebody, never acknowledged, and have been removed since."""
        gone = [entry for entry in entries if (partition.number, entry.decode()) not in self._inbox.in_hand]
        for entry in gone:
            self._inbox.discard(partition.number, entry.decode())
        if gone:
            gone.sort(key=order_of)
            since, until = time_of(gone[0]), time_of(gone[-1])
            self._inbox.miss(ResultsMissed(partition.number, len(gone), since, until))
