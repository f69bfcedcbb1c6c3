"""Entries on their way from the broker to the user: read, told apart, put in order, and acknowledged."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from facestream.contract import ResultMap, unpack_result
from facestream.errors import FrameRefused, ResultsMissed, UsageError
from facestream.results.positions import order_of
from facestream.results.reorder import Reorder
from facestream.results.result import Result
from facestream.results.seen import Seen
from facestream.results.wishes import Wishes

log = logging.getLogger("facestream.results")

Entries = Iterable[tuple[bytes, Sequence[bytes]]]
"""Ids, and for each the names and values of its fields in turn."""
Item = Result | ResultsMissed
Place = tuple[int, str]
"""Partition and entry id."""
Waiting = tuple[int, str, bytes]
"""The same and what lies there, still to be read."""

MAX_UNACKNOWLEDGED = 10_000


@dataclass(slots=True)
class Counts:
    """What a reader has seen since it was made.

    results: given to the user. duplicates: left out, their frame had been given. unreadable: entries that
    are of no contract that is known here. adopted: taken over from consumers that had died. missed:
    removed before they were read, where that is known.
    """

    results: int = 0
    duplicates: int = 0
    unreadable: int = 0
    adopted: int = 0
    missed: int = 0


class Inbox:
    """What came and was not yet given, and what was given and is not yet acknowledged."""

    def __init__(self, wishes: Wishes) -> None:
        self.counts = Counts()
        self.to_acknowledge: dict[int, list[str]] = {}
        self.in_hand: dict[Place, Waiting | Result] = {}
        self._wishes, self._has_group = wishes, wishes.group is not None
        self._seen = Seen()
        self._order = Reorder(wishes.order_window, wishes.order_seconds) if wishes.order_window else None
        self._ready: deque[Waiting | Item] = deque()
        self._given: list[Result] = []
        self._detached: set[str] = set()

    # From the broker

    def arrive(self, partition: int, entries: Entries) -> int:
        """Take entries in; how many of them were new here."""
        new = 0
        for identifier, fields in entries:
            waiting = (partition, identifier.decode(), _payload(fields))
            if self._has_group:
                place = waiting[:2]
                if place in self.in_hand:
                    continue
                self.in_hand[place] = waiting
            new += 1
            if self._order is None:
                # Read when its turn comes: what lives for a moment only costs the least.
                self._ready.append(waiting)
            elif (result := self._read(waiting)) is not None:
                self._ready.extend(self._order.add(result, time.monotonic()))
        return new

    def miss(self, missed: ResultsMissed) -> None:
        """Results that will never come: the user hears of it in their place."""
        self.counts.missed += missed.count or 0
        log.warning("%s", missed)
        self._ready.append(missed)

    def keep_only(self, partition: int, entries: set[str], oldest: bytes) -> None:
        """Of what is in hand of a partition, the rest is another consumer's now: it will not be given.

        oldest: the first entry that is left; what was removed since it came is nobody else's.
        """
        mine = entries | self._detached
        others = [place for place in self.in_hand if place[0] == partition and place[1] not in mine]
        for place in others:
            if order_of(place[1].encode()) < order_of(oldest):
                continue
            gone = self.in_hand.pop(place)
            if isinstance(gone, Result):
                self._seen.forget(gone.frame)

    def detach(self, partition: int) -> None:
        """The broker has forgotten whose the entries of a partition were: those in hand are still given."""
        self._detached = {entry for number, entry in self.in_hand if number == partition} | self._detached

    # To the user

    def check_room(self) -> None:
        """Raises UsageError when too many results were given and never acknowledged."""
        if len(self.in_hand) >= MAX_UNACKNOWLEDGED:
            raise UsageError(
                f"{len(self.in_hand):,} results wait for their acknowledgement: acknowledge them"
            )

    def has_ready(self) -> bool:
        if self._order is not None:
            self._ready.extend(self._order.expire(time.monotonic()))
        return bool(self._ready)

    def due_at(self) -> float | None:
        """When something will be ready that only waits for its time."""
        return self._order.due_at() if self._order is not None else None

    def pop(self) -> Item | None:
        """The next one whose turn has come, given to the user by this; None when there is none."""
        ready = self._ready
        while ready:
            item = ready.popleft()
            if isinstance(item, ResultsMissed):
                return item
            result = item if isinstance(item, Result) else self._read(item)
            if result is None:
                continue
            if self._has_group:
                if self.in_hand.get((result.partition, result.entry)) is not result:
                    continue  # another consumer's by now
                self._given.append(result)
            self.counts.results += 1
            return result
        return None

    def take(self, most: int) -> list[Item]:
        items: list[Item] = []
        while len(items) < most and (item := self.pop()) is not None:
            items.append(item)
        return items

    def put_back(self) -> None:
        """What was given and not acknowledged is given again."""
        again = [result for result in self._given if (result.partition, result.entry) in self.in_hand]
        self.counts.results -= len(again)
        self._ready.extendleft(reversed(again))
        self._given.clear()

    # Back to the broker

    def settle(self) -> None:
        """The user asks for more: what he had is done, or he says himself when it is."""
        if self._given:
            if self._wishes.is_automatic:
                self.acknowledge(self._given)
            self._given.clear()

    def acknowledge(self, results: Iterable[Result]) -> None:
        for result in results:
            if self.in_hand.pop((result.partition, result.entry), None) is not None:
                self._done(result.partition, result.entry)

    def acknowledged(self, entries: dict[int, list[str]]) -> None:
        """The broker knows of these; what was done since they were sent is still to be said."""
        for partition, said in entries.items():
            left = self.to_acknowledge[partition] = self.to_acknowledge[partition][len(said) :]
            if not left:
                del self.to_acknowledge[partition]

    def discard(self, partition: int, entry: str) -> None:
        """To be acknowledged though nobody had it: there is nothing left of it."""
        self._done(partition, entry)

    def _refuse(self, error: FrameRefused) -> None:
        if not self.counts.unreadable:
            log.warning("an entry that is no result was left out (%s); more are only counted", error)
        self.counts.unreadable += 1

    def _done(self, partition: int, entry: str) -> None:
        if self._has_group:
            self.to_acknowledge.setdefault(partition, []).append(entry)

    def _read(self, waiting: Waiting) -> Result | None:
        """The result of an entry; None where it is none, not wanted, known, or another consumer's by now."""
        partition, entry, payload = waiting
        if self._has_group and self.in_hand.get((partition, entry)) is not waiting:
            return None
        try:
            raw = unpack_result(payload)
        except FrameRefused as error:
            self._refuse(error)
        else:
            if self._is_wanted(raw):
                result = Result.of(raw, partition, entry)
                if self._has_group:
                    self.in_hand[partition, entry] = result
                return result
        if self._has_group:
            del self.in_hand[partition, entry]
            self._done(partition, entry)
        return None

    def _is_wanted(self, raw: ResultMap) -> bool:
        cameras = self._wishes.cameras
        if cameras is not None and raw["camera"] not in cameras:
            return False
        if self._seen.add((raw["camera"], raw["epoch"], raw["seq"])):
            return True
        self.counts.duplicates += 1
        return False


def _payload(fields: Sequence[bytes]) -> bytes:
    """Field `r`; empty where there is none."""
    if fields[0] == b"r":
        return fields[1]
    return dict(zip(fields[::2], fields[1::2], strict=True)).get(b"r", b"")
