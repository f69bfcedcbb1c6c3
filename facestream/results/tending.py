"""What a consumer of a group does beside reading: it acknowledges, keeps what is its own, takes over."""

from __future__ import annotations

import time
from collections.abc import Iterable

from facestream.bus.requests import Command, Steps, Together, as_map
from facestream.results.inbox import Inbox
from facestream.results.member import Member
from facestream.results.partition import PAGE, Partition, look_at
from facestream.results.positions import BEGINNING

ACKNOWLEDGE_SECONDS = 1.0
SCANNED = 10
"""XAUTOCLAIM looks at so many for each that it may claim."""
FORGET_SECONDS = 86_400.0
"""A name with nothing in hand that was not heard of for so long is taken out of the group."""


class Tending:
    def __init__(self, member: Member, inbox: Inbox, adopt_after_seconds: float) -> None:
        self._member, self._inbox = member, inbox
        self._adopt_after_seconds = adopt_after_seconds
        self._partitions: dict[int, Partition] = {}
        self._acknowledged_at = self._refreshed_at = self._adopt_at = time.monotonic()

    def look_after(self, partitions: Iterable[Partition]) -> None:
        self._partitions = {partition.number: partition for partition in partitions}

    def is_due(self) -> bool:
        """Asked for every result, so cheap."""
        now, inbox = time.monotonic(), self._inbox
        return (
            now >= self._adopt_at
            or (bool(inbox.to_acknowledge) and now - self._acknowledged_at >= ACKNOWLEDGE_SECONDS)
            or (bool(inbox.in_hand) and self._must_refresh(now))
        )

    def tidy(self, *, is_urgent: bool) -> Steps[None]:
        now = time.monotonic()
        if is_urgent or now - self._acknowledged_at >= ACKNOWLEDGE_SECONDS:
            yield from self._acknowledge()
        if self._inbox.in_hand and self._must_refresh(now):
            yield from self._refresh()
        if now >= self._adopt_at:
            yield from self._adopt()

    def close(self) -> Steps[None]:
        yield from self._acknowledge()
        for partition in self._partitions.values():
            if not (yield from self._member.read_history(partition, BEGINNING, 1)):
                yield self._removing(partition, self._member.name)

    def _must_refresh(self, now: float) -> bool:
        return now - self._refreshed_at >= self._adopt_after_seconds / 3

    def _acknowledge(self) -> Steps[None]:
        waiting = {number: list(entries) for number, entries in self._inbox.to_acknowledge.items()}
        commands = []
        for number in waiting.keys() & self._partitions.keys():
            stream = self._partitions[number].stream
            commands.append(Command(stream, ("XACK", stream, self._member.group, *waiting[number])))
        if commands:
            yield commands[0] if len(commands) == 1 else Together(tuple(commands))
            self._inbox.acknowledged(waiting)
        self._acknowledged_at = time.monotonic()

    def _refresh(self) -> Steps[None]:
        """What we have had for long may be another's by now. Reading it again says so, and makes it new."""
        self._refreshed_at = time.monotonic()
        for number in {place[0] for place in self._inbox.in_hand} & self._partitions.keys():
            partition, after, mine = self._partitions[number], BEGINNING, set[str]()
            while entries := (yield from self._member.read_history(partition, after, PAGE)):
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
            yield from self._forget_the_gone(partition)
        if not is_more:
            self._adopt_at = time.monotonic() + self._adopt_after_seconds / 2

    def _adopt_in(self, partition: Partition) -> Steps[bool]:
        """True when there may be more. What is gone is named whoever has it: only of the idle it is lost."""
        idle_ms = max(1, int(self._adopt_after_seconds * 1000))
        stream, who, cursor = partition.stream, self._member.name, partition.cursor
        pending = ("XPENDING", stream, self._member.group, "IDLE", idle_ms, cursor, "+", SCANNED * PAGE)
        claiming = ("XAUTOCLAIM", stream, self._member.group, who, idle_ms, cursor, "COUNT", PAGE)
        together = Together((Command(stream, pending), Command(stream, claiming)), atomic=True)
        idle, (partition.cursor, entries, gone) = yield together
        lost = {entry for entry, *_ in idle}.intersection(gone)
        self._member.take_gone(partition, list(lost))
        self._inbox.counts.adopted += self._inbox.arrive(partition.number, entries)
        return partition.cursor != BEGINNING

    def _forget_the_gone(self, partition: Partition) -> Steps[None]:
        """Whoever is killed leaves a name behind, and a group shall not collect them for years."""
        words = ("XINFO", "CONSUMERS", partition.stream, self._member.group)
        for consumer in map(as_map, (yield Command(partition.stream, words))):
            if not consumer["pending"] and consumer["idle"] > FORGET_SECONDS * 1000:
                yield self._removing(partition, consumer["name"])

    def _removing(self, partition: Partition, name: str | bytes) -> Command:
        words = ("XGROUP", "DELCONSUMER", partition.stream, self._member.group, name)
        return Command(partition.stream, words)
