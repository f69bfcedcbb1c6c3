"""One reader's life: contact, reading, the loss of the broker, and the end. It decides, and does no IO."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from facestream.backoff import Backoff
from facestream.bus.connection import MAX_BLOCK_SECONDS
from facestream.bus.requests import Contact, Open, Pause, Steps
from facestream.errors import BusError, BusFull, BusUnavailable
from facestream.results.group import GroupFeed
from facestream.results.inbox import Counts, Inbox, Item
from facestream.results.partition import Partition
from facestream.results.plain import PlainFeed
from facestream.results.result import Result
from facestream.results.wishes import Wishes

log = logging.getLogger("facestream.results")

FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.1, 5.0
UNFOUNDED_SECONDS = 0.25


class Unfounded(BusUnavailable):
    """The broker is there, and nobody has published or worked yet."""


class Session:
    """Every step that needs the broker is a generator of requests: whoever runs it carries them out.

    After any exception but a BusError out of a step, call `interrupted` before the next.
    """

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._inbox = Inbox(wishes)
        self._feed = PlainFeed(self._inbox) if wishes.group is None else GroupFeed(wishes, self._inbox)
        self._partitions: dict[str, Partition] = {}
        self._incarnation, self._start = "", wishes.start
        self._is_open = self._has_said_lost = False
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS)
        self._retry_at = 0.0

    @property
    def counts(self) -> Counts:
        return self._inbox.counts

    def next(self) -> Item | None:
        """The next item where it is here already and nothing is due; else None, and `read` is called."""
        self._inbox.settle()
        if self._feed.is_due():
            return None
        return self._inbox.pop()

    def put_back(self) -> None:
        self._inbox.put_back()

    def interrupted(self) -> None:
        """A reply may have been lost: contact is made anew, which finds it again."""
        self._is_open = False

    def read(self, most: int | None, wait_seconds: float) -> Steps[list[Item]]:
        """Up to so many items; none when nothing came in time. What was given before is done.

        most: None for one, of a loop that will soon ask for the next.
        Raises BusRefused; an absent broker is waited for.
        """
        self._inbox.settle()
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                yield from self._advance(most, deadline)
            except (BusUnavailable, BusFull) as error:
                self._lose(error)
            items = self._inbox.take(most or 1) if self._inbox.has_ready() else []
            if items or time.monotonic() >= deadline:
                return items

    def connect(self) -> Steps[None]:
        """Make contact and take the place in each partition now. Raises BusError."""
        if not self._is_open:
            yield from self._open()

    def acknowledge(self, results: Iterable[Result]) -> Steps[None]:
        """Say to the broker that these are done; where it cannot be reached, that is said later."""
        self._inbox.acknowledge(results)
        try:
            if self._is_open:
                yield from self._feed.tidy(is_urgent=True)
        except (BusUnavailable, BusFull) as error:
            self._lose(error)

    def close(self) -> Steps[None]:
        """Say what is done, and leave the group where nothing is left in our name. Never raises BusError.

        What was given last is not done: nobody asked for more.
        """
        try:
            if self._is_open:
                yield from self._feed.close()
        except BusError as error:
            log.debug("leaving: %s", error)
        self._is_open = False

    def _advance(self, most: int | None, deadline: float) -> Steps[None]:
        if not self._is_open:
            if not self._inbox.has_ready():
                yield Pause(max(0.0, min(self._retry_at, deadline) - time.monotonic()))
            if time.monotonic() < self._retry_at:
                return
            yield from self._open()
        yield from self._feed.tidy()
        if not self._inbox.has_ready():
            self._inbox.check_room()
            yield from self._feed.tidy(is_urgent=True)
            yield from self._feed.fetch(self._wait(deadline), most)

    def _wait(self, deadline: float) -> float:
        due_at = self._inbox.due_at()
        until = deadline if due_at is None else min(deadline, due_at)
        return min(max(0.0, until - time.monotonic()), MAX_BLOCK_SECONDS)

    def _open(self) -> Steps[None]:
        contact: Contact = yield Open()
        if not contact.incarnation:
            self._start = "earliest"  # whatever comes now comes after we began
            raise Unfounded("nothing was published at this broker yet")
        is_anew = bool(self._incarnation) and contact.incarnation != self._incarnation
        if not self._partitions or is_anew:
            self._partitions = self._lay_out(contact)
        yield from self._feed.open(self._partitions, contact, self._start, is_anew=is_anew)
        self._incarnation = contact.incarnation
        self._is_open = True
        self._backoff.reset()
        if self._has_said_lost:
            self._has_said_lost = False
            log.warning("the broker is back: reading goes on")

    def _lay_out(self, contact: Contact) -> dict[str, Partition]:
        """The partitions that hold what is wanted, each with the place it had."""
        keys, cameras = contact.keys, self._wishes.cameras
        wanted = range(keys.partitions) if cameras is None else {keys.partition(camera) for camera in cameras}
        known = {partition.number: partition.last for partition in self._partitions.values()}
        found = {}
        for number in sorted(wanted):
            partition = found[keys.results(number)] = Partition(number, keys.results(number))
            partition.last = known.get(number)
        return found

    def _lose(self, error: BusError) -> None:
        self._is_open = False
        pause = UNFOUNDED_SECONDS if isinstance(error, Unfounded) else self._backoff.next_seconds()
        self._retry_at = time.monotonic() + pause
        if not self._has_said_lost:
            self._has_said_lost = True
            log.warning("%s: trying again until it is there", error)
