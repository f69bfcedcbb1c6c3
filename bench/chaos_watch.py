"""What is seen of a chaos run from outside: every result, and how long what was held stays in dead hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from facestream.bus.connection import Connection
from facestream.bus.tail import tail_results
from facestream.contract import ResultMap
from facestream.errors import BusError

POLL_SECONDS = 0.02
PAUSE_SECONDS = 0.1


class Reader:
    """Counts the results of every frame, as a consumer does that goes on where it was after any fault."""

    def __init__(self, connection: Connection) -> None:
        self._results = tail_results(connection)
        self._seen: dict[tuple[str, int], bytearray] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self.distinct = self.double = 0
        self._thread.start()

    @property
    def unreadable(self) -> int:
        return self._results.unreadable

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                for result in self._results.read(PAUSE_SECONDS):
                    self._count(result)
            except BusError:
                self._stop.wait(PAUSE_SECONDS)

    def _count(self, result: ResultMap) -> None:
        seen = self._seen.setdefault((result["camera"], result["epoch"]), bytearray())
        seen.extend(bytes(max(0, result["seq"] + 1 - len(seen))))
        if seen[result["seq"]]:
            self.double += 1
        else:
            seen[result["seq"]] = 1
            self.distinct += 1


@dataclass(slots=True)
class Adoption:
    """What a worker held when it died or stopped, on its way into other hands.

    seconds: how long that took. away_seconds: of these, how long no worker could reach the broker. alone:
    whether there was a moment without any other worker.
    """

    process: int
    since: float
    fields: set[bytes]
    held: str
    seconds: float = 0.0
    away_seconds: float = 0.0
    alone: bool = False


@dataclass(slots=True)
class Recoveries:
    """How long it took until what a dead or stopped worker held had left its hands and been taken by
    others, and from a broker's return to the next result.

    workers: process numbers of those that are running now. is_cut: whether the network is.
    """

    connection: Connection
    reader: Reader
    workers: Callable[[], set[int]]
    is_cut: Callable[[], bool]
    adopted: list[Adoption] = field(default_factory=list)
    returned: list[float] = field(default_factory=list)
    _waits: list[Adoption] = field(default_factory=list)
    _joined: set[int] = field(default_factory=set)
    _returns: list[tuple[float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Recoveries:
        self._thread = threading.Thread(target=self._watch, name="recoveries", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        assert self._thread
        self._thread.join()

    def worker_gone(self, process: int) -> None:
        """Call it right after the signal: what the worker holds now, somebody else must take."""
        try:
            for held in self._hands_of(process):
                fields = set(self.connection.read("HKEYS", held))
                if fields:
                    self._waits.append(Adoption(process, time.monotonic(), fields, held))
        except BusError:
            pass  # the broker is away as well: nothing to tell from

    def broker_back(self) -> None:
        self._returns.append((time.monotonic(), self.reader.distinct))

    @property
    def open(self) -> int:
        """How many have not recovered."""
        return len(self._waits) + len(self._returns)

    def _hands_of(self, process: int) -> Iterator[str]:
        keys = self.connection.keys
        for partition in range(keys.partitions):
            for name in self.connection.read("ZRANGE", keys.workers(partition), 0, -1):
                if f"-{process}-" in name.decode():
                    yield keys.held(partition, name.decode())

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(POLL_SECONDS):
            now = time.monotonic()
            passed, before = now - before, now
            for since, count in list(self._returns):
                if self.reader.distinct > count:
                    self._returns.remove((since, count))
                    self.returned.append(now - since)
            try:
                self._look_for_others()
                self._look_at_hands()
                is_away = self.is_cut()
            except BusError:
                is_away = True
            for wait in self._waits:
                wait.away_seconds += passed * is_away

    def _look_for_others(self) -> None:
        keys = self.connection.keys
        for partition in range(keys.partitions):
            for name in self.connection.read("ZRANGE", keys.workers(partition), 0, -1):
                self._joined.add(int(name.decode().split("-")[-2]))
        for wait in self._waits:
            wait.alone |= not (self.workers() & self._joined) - {wait.process}

    def _look_at_hands(self) -> None:
        for wait in list(self._waits):
            orphans = wait.held.rpartition(":")[0] + ":orphans"
            left = set(self.connection.read("HKEYS", wait.held)) | set(self.connection.read("HKEYS", orphans))
            if not wait.fields & left:
                self._waits.remove(wait)
                wait.seconds = time.monotonic() - wait.since
                self.adopted.append(wait)
