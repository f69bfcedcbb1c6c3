"""Results for tests, as a worker commits them."""

from __future__ import annotations

from typing import Any

from facestream.bus.connection import Connection
from facestream.bus.taker import Outcome, Taker
from facestream.contract import FaceMap, FrameHeader, describe_result, pack_result
from facestream.errors import ResultsMissed
from facestream.results.result import Result
from support import bus

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
