"""Reading as one consumer of a group: several share the results, and take over from who died."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from facestream.bus.faults import GroupExists, GroupGone
from facestream.bus.requests import Command, Contact, Pause, Steps, Together, as_map
from facestream.errors import ResultsMissed
from facestream.results.inbox import Inbox
from facestream.results.partition import PAGE, Partition, entries_by_stream, find_start, look_at
from facestream.results.plain import POLL_SECONDS
from facestream.results.positions import BEGINNING, Start, number_of, time_of
from facestream.results.wishes import Wishes

ACKNOWLEDGE_SECONDS = 1.0
FIRST_PAGE = 8
SCANNED = 10
"""XAUTOCLAIM looks at so many for each that it may claim."""
FEW_SECONDS = 0.25
_NEW = ">"


class GroupFeed:
    def __init__(self, wishes: Wishes, inbox: Inbox) -> None:
        assert wishes.group is not None
        self._wishes, self._inbox, self._group = wishes, inbox, wishes.group
        self._partitions: dict[str, Partition] = {}
        self._by_number: dict[int, Partition] = {}
        self._is_cluster = self._must_look = False
        self._acknowledged_at = self._refreshed_at = time.monotonic()
        self._adopt_at = self._fetched_at = self._acknowledged_at
        self._page = FIRST_PAGE

    def open(
        self, partitions: dict[str, Partition], contact: Contact, start: Start, *, is_anew: bool
    ) -> Steps[None]:
        """Join or found the group in each partition, and take up what is in our name there."""
        self._partitions, self._is_cluster = partitions, contact.is_cluster
        self._by_number = {partition.number: partition for partition in partitions.values()}
        for partition in partitions.values():
            partition.history = BEGINNING
            try:
                yield from self._recover(partition)
            except GroupGone:
                yield from self._found(partition, contact, start, is_anew=is_anew)
        self._must_look = True

    # What is done beside reading

    def is_due(self) -> bool:
        """Whether `tidy` has something to do: told without a look at the clock where that can be."""
        now = time.monotonic()
        acknowledging = self._inbox.to_acknowledge
        return (
            (bool(acknowledging) and now - self._acknowledged_at >= ACKNOWLEDGE_SECONDS)
            or (
                bool(self._inbox.in_hand) and now - self._refreshed_at >= self._wishes.adopt_after_seconds / 3
            )
            or now >= self._adopt_at
        )

    def tidy(self, *, is_urgent: bool = False) -> Steps[None]:
        """Acknowledge what is done, make sure of what is still ours, take over what the dead left."""
        now = time.monotonic()
        if is_urgent or now - self._acknowledged_at >= ACKNOWLEDGE_SECONDS:
            yield from self._acknowledge()
        if self._inbox.in_hand and now - self._refreshed_at >= self._wishes.adopt_after_seconds / 3:
            yield from self._refresh()
        if now >= self._adopt_at:
            yield from self._adopt()

    def close(self) -> Steps[None]:
        """Acknowledge what is done; where nothing is in our name any more, that name goes, too."""
        yield from self._acknowledge()
        for partition in self._partitions.values():
            mine = yield from self._read_history(partition, BEGINNING, 1)
            if not mine:
                who = (partition.stream, self._group, self._wishes.consumer)
                yield Command(partition.stream, ("XGROUP", "DELCONSUMER", *who))

    def _acknowledge(self) -> Steps[None]:
        waiting = self._inbox.to_acknowledge
        commands = []
        for number, entries in waiting.items():
            stream = self._by_number[number].stream
            commands.append(Command(stream, ("XACK", stream, self._group, *entries)))
        if commands:
            yield commands[0] if len(commands) == 1 else Together(tuple(commands))
            waiting.clear()
        self._acknowledged_at = time.monotonic()

    def _refresh(self) -> Steps[None]:
        """What we have had for long may be another's by now. Reading it again says so, and makes it new."""
        self._refreshed_at = time.monotonic()
        for number in {place[0] for place in self._inbox.in_hand}:
            partition, after, mine = self._by_number[number], BEGINNING, set[str]()
            while entries := (yield from self._read_history(partition, after, PAGE)):
                mine.update(entry.decode() for entry, _ in entries)
                after = entries[-1][0]
            about = yield from look_at(partition)
            oldest = about["first-entry"][0] if about.get("first-entry") else BEGINNING
            self._inbox.keep_only(number, mine, oldest)

    def _adopt(self) -> Steps[None]:
        """Take over a page of what has been in somebody's hands for too long."""
        yield from self._acknowledge()
        is_more = False
        for partition in self._partitions.values():
            is_more |= yield from self._adopt_in(partition)
        if not is_more:
            self._adopt_at = time.monotonic() + self._wishes.adopt_after_seconds / 2

    def _adopt_in(self, partition: Partition) -> Steps[bool]:
        """True when there may be more. What is gone is named whoever has it: only of the idle it is lost."""
        idle_ms = max(1, int(self._wishes.adopt_after_seconds * 1000))
        stream, who, cursor = partition.stream, self._wishes.consumer, partition.cursor
        pending = ("XPENDING", stream, self._group, "IDLE", idle_ms, cursor, "+", SCANNED * PAGE)
        claiming = ("XAUTOCLAIM", stream, self._group, who, idle_ms, cursor, "COUNT", PAGE)
        together = Together((Command(stream, pending), Command(stream, claiming)), atomic=True)
        idle, (partition.cursor, entries, gone) = yield together
        lost = {entry for entry, *_ in idle}.intersection(gone)
        self._take_gone(partition, sorted(lost))
        self._inbox.counts.adopted += self._inbox.arrive(partition.number, entries)
        return partition.cursor != BEGINNING

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
            words = ("XGROUP", "CREATE", partition.stream, self._group, at, "MKSTREAM")
            yield Command(partition.stream, words)
        partition.last = at
        yield from self._recover(partition)

    def _recover(self, partition: Partition) -> Steps[int]:
        """A page of what is in our name already: its delivery was lost, or we were here before."""
        assert partition.history is not None
        entries = yield from self._read_history(partition, partition.history, PAGE)
        partition.history = entries[-1][0] if entries else None
        self._take_gone(partition, [entry for entry, fields in entries if not fields])
        left = [(entry, fields) for entry, fields in entries if fields]
        return self._inbox.arrive(partition.number, left)

    def _read_history(self, partition: Partition, after: bytes, most: int) -> Steps[Any]:
        reply = yield self._reading(most, [partition.stream], [after])
        return [entry for _, entries in entries_by_stream(reply) for entry in entries]

    def _take_gone(self, partition: Partition, entries: Sequence[bytes]) -> None:
        """They were delivered to somebody, never acknowledged, and have been removed since."""
        places = [(partition.number, entry.decode()) for entry in entries]
        gone = [place for place in places if place not in self._inbox.in_hand]
        for place in gone:
            self._inbox.discard(*place)
        if gone:
            since, until = time_of(entries[0]), time_of(entries[-1])
            self._inbox.miss(ResultsMissed(partition.number, len(gone), since, until))

    # Reading

    def fetch(self, wait_seconds: float, most: int | None) -> Steps[None]:
        """Bring what there is into the inbox, `most` of each partition; waits for something so long."""
        self._fit_page(most)
        for partition in self._partitions.values():
            if partition.history is not None and (yield from self._recover(partition)):
                return
        exactly = [p for p in self._partitions.values() if p.is_shared or self._must_look]
        # A cluster has transactions within one partition only.
        batches = [[partition] for partition in exactly] if self._is_cluster else [exactly]
        count = 0
        for batch in filter(None, batches):
            count += yield from self._read_exactly(batch)
        if count:
            return
        self._must_look = False
        streams = list(self._partitions)
        if not self._is_cluster:
            block = max(1, int(wait_seconds * 1000))
            reply = yield self._reading(self._page, streams, [_NEW] * len(streams), block)
            yield from self._arrive(reply)
            return
        commands = [self._reading(self._page, [stream], [_NEW]) for stream in streams]
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
        reading = self._reading(self._page, streams, [_NEW] * len(streams))
        *found, reply = yield Together((*looks, reading), atomic=True)
        for partition, groups in zip(partitions, found, strict=True):
            for group in map(as_map, groups):
                if group["name"] == self._group.encode():
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

    def _reading(
        self, most: int, streams: Sequence[str], after: Sequence[object], block_ms: int = 0
    ) -> Command:
        block = ("BLOCK", block_ms) if block_ms else ()
        who = ("GROUP", self._group, self._wishes.consumer)
        return Command(streams[0], ("XREADGROUP", *who, "COUNT", most, *block, "STREAMS", *streams, *after))
