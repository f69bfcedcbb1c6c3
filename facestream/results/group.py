"""Reading as one consumer of a group: several share the results, and take over from who died."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from facestream.bus.faults import GroupExists, GroupGone
from facestream.bus.requests import Command, Contact, Pause, Steps, Together, as_map
from facestream.results.inbox import Inbox
from facestream.results.member import Member
from facestream.results.partition import PAGE, Partition, entries_by_stream, find_start, look_at
from facestream.results.plain import POLL_SECONDS
from facestream.results.positions import BEGINNING, Start, number_of
from facestream.results.tending import Tending
from facestream.results.wishes import Wishes

FIRST_PAGE = 8
FEW_SECONDS = 0.25
_NEW = ">"


class GroupFeed:
    def __init__(self, wishes: Wishes, inbox: Inbox) -> None:
        self._inbox, self._member = inbox, Member(wishes, inbox)
        self._tending = Tending(self._member, inbox, wishes.adopt_after_seconds)
        self._partitions: dict[str, Partition] = {}
        self._is_cluster = self._must_look = False
        self._fetched_at, self._page = time.monotonic(), FIRST_PAGE

    def open(
        self, partitions: dict[str, Partition], contact: Contact, start: Start, *, is_anew: bool
    ) -> Steps[None]:
        """Join or found the group in each partition, and take up what is in our name there."""
        self._partitions, self._is_cluster = partitions, contact.is_cluster
        self._tending.look_after(partitions.values())
        for partition in partitions.values():
            partition.history = BEGINNING
            try:
                yield from self._recover(partition)
            except GroupGone:
                yield from self._found(partition, contact, start, is_anew=is_anew)
        self._must_look = True

    def is_due(self) -> bool:
        """Whether `tidy` has something to do."""
        return self._tending.is_due()

    def tidy(self, *, is_urgent: bool = False) -> Steps[None]:
        """Acknowledge what is done, make sure of what is still ours, take over what the dead left."""
        yield from self._tending.tidy(is_urgent=is_urgent)

    def close(self) -> Steps[None]:
        """Acknowledge what is done; where nothing is in our name any more, that name goes, too."""
        yield from self._tending.close()

    # Joining

    def _found(self, partition: Partition, contact: Contact, start: Start, *, is_anew: bool) -> Steps[None]:
        """The group is not there: we are the first, or the broker has forgotten it."""
        if partition.last is None:
            at = yield from find_start(partition, start, contact)
        else:
            self._inbox.detach(partition.number)
            at = BEGINNING if is_anew else partition.last
            if is_anew:
                self._inbox.miss(partition.missed(None, None))
        with contextlib.suppress(GroupExists):  # another consumer was faster
            words = ("XGROUP", "CREATE", partition.stream, self._member.group, at, "MKSTREAM")
            yield Command(partition.stream, words)
        partition.last = at
        yield from self._recover(partition)

    def _recover(self, partition: Partition) -> Steps[int]:
        """A page of what is in our name already: its delivery was lost, or we were here before."""
        assert partition.history is not None
        entries = yield from self._member.read_history(partition, partition.history, PAGE)
        partition.history = entries[-1][0] if entries else None
        self._member.take_gone(partition, [entry for entry, fields in entries if not fields])
        left = [(entry, fields) for entry, fields in entries if fields]
        return self._inbox.arrive(partition.number, left)

    # Reading

    def fetch(self, wait_seconds: float, most: int | None) -> Steps[None]:
        """Bring what there is into the inbox, `most` of each partition; waits for something so long."""
        self._fit_page(most)
        for partition in self._partitions.values():
            if partition.history is not None and (yield from self._recover(partition)):
                return
        partitions = list(self._partitions.values())
        if self._must_look or any(partition.is_shared for partition in partitions):
            # A cluster has transactions within one partition only.
            batches = [[partition] for partition in partitions] if self._is_cluster else [partitions]
            count = 0
            for batch in batches:
                count += yield from self._read_exactly(batch)
            if count:
                return
            self._must_look = False
        yield from self._read_on(list(self._partitions), wait_seconds)

    def _read_on(self, streams: list[str], wait_seconds: float) -> Steps[None]:
        """Wait for what comes: we had all there was a moment ago, or are alone, and see for ourselves."""
        if not self._is_cluster:
            block = max(1, int(wait_seconds * 1000))
            reply = yield self._member.reading(self._page, streams, [_NEW] * len(streams), block)
            yield from self._arrive(reply)
            return
        commands = [self._member.reading(self._page, [stream], [_NEW]) for stream in streams]
        count = 0
        for reply in (yield Together(tuple(commands))):
            count += yield from self._arrive(reply)
        if not count:
            yield Pause(min(wait_seconds, POLL_SECONDS))

    def _fit_page(self, most: int | None) -> None:
        """As many as are worked off in a moment: what waits in one reader's hands is kept from the others."""
        now = time.monotonic()
        if most is not None:
            self._page = min(most, PAGE)
        elif now - self._fetched_at < FEW_SECONDS:
            self._page = min(self._page * 2, PAGE)
        elif now - self._fetched_at > 4 * FEW_SECONDS:
            self._page = max(self._page // 2, 1)
        self._fetched_at = now

    def _read_exactly(self, partitions: Sequence[Partition]) -> Steps[int]:
        """Read after a look at where the group stands, with nobody in between: what it skips is missing."""
        streams = [partition.stream for partition in partitions]
        looks = [Command(stream, ("XINFO", "GROUPS", stream)) for stream in streams]
        reading = self._member.reading(self._page, streams, [_NEW] * len(streams))
        *found, reply = yield Together((*looks, reading), atomic=True)
        for partition, groups in zip(partitions, found, strict=True):
            for group in map(as_map, groups):
                if group["name"] == self._member.group.encode():
                    partition.last, partition.is_shared = group["last-delivered-id"], group["consumers"] > 1
        count = 0
        for stream, entries in entries_by_stream(reply):
            partition = self._partitions[stream]
            if (gap := partition.gap_before(entries[0][0])) > 0:
                self._inbox.miss(partition.missed(gap, entries[0][0]))
            count += self._take(partition, entries)
        return count

    def _arrive(self, reply: object) -> Steps[int]:
        count = 0
        for stream, entries in entries_by_stream(reply):
            partition = self._partitions[stream]
            if not partition.is_shared and partition.gap_before(entries[0][0]) > 0:
                yield from self._explain_gap(partition, entries[0][0])
            count += self._take(partition, entries)
        return count

    def _explain_gap(self, partition: Partition, first: bytes) -> Steps[None]:
        """We thought to be alone: what lies between went to another consumer, or was removed."""
        about = yield from look_at(partition)
        oldest = about["first-entry"][0] if about.get("first-entry") else first
        removed = min(partition.gap_before(first), partition.gap_before(oldest))
        if removed > 0:
            self._inbox.miss(
                partition.missed(removed, oldest if number_of(oldest) < number_of(first) else first)
            )
        partition.is_shared = removed < partition.gap_before(first)

    def _take(self, partition: Partition, entries: Any) -> int:
        partition.last = entries[-1][0]
        return self._inbox.arrive(partition.number, entries)
