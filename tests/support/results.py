"""Results for tests, as a worker commits them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from facestream import AsyncResultReader, ResultReader
from facestream.bus.connection import Connection
from facestream.bus.taker import Outcome, Taker
from facestream.contract import FaceMap, FrameHeader, describe_result, pack_result
from facestream.errors import ResultsMissed
from facestream.results.result import Result
from support import bus

T = TypeVar("T")

FACE: FaceMap = {
    "box": [10.0, 20.0, 30.0, 40.0],
    "score": 0.9,
    "landmarks": [[12.0, 30.0], [30.0, 30.0], [21.0, 40.0], [14.0, 50.0], [28.0, 50.0]],
    "attributes": {"gender": {"label": "female", "score": 0.97}, "age": {"years": 31.5, "score": 0.4}},
}


class Studio:
    """Cameras whose frames end as results at once, each with one face."""

    def __init__(self, connection: Connection, for_worker: Connection | None = None) -> None:
        self._connection = connection
        self._worker: Taker = bus.worker(for_worker or connection)
        self._epochs: dict[str, Any] = {}

    def shoot(self, camera: str = "cam", count: int = 1) -> None:
        if camera not in self._epochs:
            self._epochs[camera] = bus.begin(self._connection, camera, depth=10_000)
        for _ in range(count):
            bus.publish(self._epochs[camera], camera=camera)
            ends = [_result_of(delivery) for delivery in bus.take(self._worker, 8)]
            assert self._worker.commit(ends) == 1

    def shoot_out_of_order(self, camera: str, order: list[int]) -> None:
        """As many frames, whose results come in this order, as of workers that overtake each other."""
        self._epochs[camera] = epoch = bus.begin(self._connection, camera, depth=100)
        bus.publish(epoch, len(order), camera=camera)
        taken = []
        while batch := bus.take(self._worker, len(order)):
            taken += batch
            if len(taken) == len(order):
                break
        for number in order:
            assert self._worker.commit([_result_of(taken[number])]) == 1

    def trim(self, keep: int, camera: str = "cam") -> None:
        """As if results had been kept for a shorter time."""
        stream = self._connection.keys.results(self._connection.keys.partition(camera))
        self._connection.read("XTRIM", stream, "MAXLEN", keep)


def _result_of(delivery: Any) -> Outcome:
    header = FrameHeader.unpack(delivery.header)
    result = describe_result(
        header, [FACE], models={}, timings_ms={}, worker="w", completed_at_us=header.captured_at_us + 1000
    )
    return Outcome(delivery, pack_result(result))


def seqs(items: list[Result | ResultsMissed]) -> list[int | str]:
    """The seq of each result; of missed ones `-` and how many."""
    return [item.seq if isinstance(item, Result) else f"-{item.count}" for item in items]


class Awaited:
    """An AsyncResultReader behind the methods of a ResultReader, in an event loop of its own."""

    def __init__(self, url: str, **wishes: Any) -> None:
        self._reader = AsyncResultReader(url, **wishes)
        self._loop = asyncio.new_event_loop()
        self.counts, self.consumer = self._reader.counts, self._reader.consumer

    def read(self, most: int = 128, wait_seconds: float = 1.0) -> list[Result | ResultsMissed]:
        return self._run(self._reader.read(most, wait_seconds))

    def connect(self) -> None:
        self._run(self._reader.connect())

    def acknowledge(self, *results: Result) -> None:
        self._run(self._reader.acknowledge(*results))

    def close(self) -> None:
        if not self._loop.is_closed():
            self._run(self._reader.aclose())
            self._loop.close()

    def __iter__(self) -> Iterator[Result]:
        results = self._reader.__aiter__()
        try:
            while (result := self._run(anext(results, None))) is not None:
                yield result
        finally:
            self._run(results.aclose())

    def __enter__(self) -> Awaited:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _run(self, steps: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(steps)


Reader = ResultReader | Awaited


def read_until(reader: Reader, count: int) -> list[Result | ResultsMissed]:
    """So many results or more, and what is said of missing ones on the way."""
    items: list[Result | ResultsMissed] = []

    def is_there() -> bool:
        items.extend(reader.read(1000, 0.05))
        return sum(isinstance(item, Result) for item in items) >= count

    bus.wait_until(is_there, f"{count} results are read")
    return items
