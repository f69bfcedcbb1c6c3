"""One partition's results stream, and what reading it takes whether by a group or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from facestream.bus.requests import Command, Contact, Steps, as_map
from facestream.errors import BusRefused, ResultsMissed
from facestream.results.positions import BEGINNING, Start, before, first_from, number_of, time_of

PAGE = 128


class Partition:
    """last: the id of the newest entry that was delivered, to us or to anybody of our group as we know it."""

    __slots__ = ("cursor", "history", "is_doubted", "is_shared", "last", "number", "stream")

    def __init__(self, number: int, stream: str) -> None:
        self.number, self.stream = number, stream
        self.last: bytes | None = None
        self.history: bytes | None = None
        self.cursor: bytes = BEGINNING
        self.is_shared = self.is_doubted = False

    def gap_before(self, first: bytes) -> int:
        """How many results lie between the last that was delivered and this one."""
        return number_of(first) - number_of(self.last) - 1 if self.last is not None else 0

    def missed(self, count: int | None, until: bytes | None) -> ResultsMissed:
        since = time_of(self.last) if self.last is not None else None
        return ResultsMissed(self.number, count, since, time_of(until) if until is not None else None)


def find_start(partition: Partition, start: Start, contact: Contact) -> Steps[bytes]:
    """The id after which to begin: the one before the first that is wanted, so that no gap is missed."""
    if isinstance(start, str) and start not in ("latest", "earliest"):
        return start.encode()
    if start != "latest":
        least = first_from(start, contact.clock_ms)
        found = yield Command(partition.stream, ("XRANGE", partition.stream, least, "+", "COUNT", 1))
        if found:
            return before(found[0][0])
    about = yield from look_at(partition)
    return about.get("last-generated-id", BEGINNING) if about else BEGINNING


def look_at(partition: Partition) -> Steps[dict[str, Any]]:
    """What XINFO says of it; empty where there is no stream yet."""
    try:
        return as_map((yield Command(partition.stream, ("XINFO", "STREAM", partition.stream))))
    except BusRefused as error:
        if "no such key" in str(error):
            return {}
        raise


def entries_by_stream(reply: Any) -> Iterator[tuple[str, Any]]:
    """A reply to XREAD or XREADGROUP: streams, each with at least one entry."""
    for stream, entries in reply or ():
        if entries:
            yield stream.decode(), entries
