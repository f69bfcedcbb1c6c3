"""Memory over time: what a run's processes and its broker hold, beside how far the run is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream_bench.server import Server


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. results_bytes: what the broker keeps of results; frames: entries of the frames stream."""

    seconds: float
    results: int
    published: int
    frames: int
    worker_bytes: tuple[int, ...]
    broker_rss_bytes: int
    broker_used_bytes: int
    results_bytes: int

    @property
    def broker_frames_bytes(self) -> int:
        """The broker's memory without the results it keeps."""
        return self.broker_used_bytes - self.results_bytes


class Sampler:
    """Looks at workers by their process ids, and at the broker behind a connection."""

    def __init__(self, connection: Connection, camera: str, workers: Sequence[int]) -> None:
        self.server = Server(connection)
        self.samples: list[Sample] = []
        self._connection, self._camera = connection, camera
        self._workers = [psutil.Process(worker) for worker in workers]
        self._began = time.perf_counter()

    @property
    def ended(self) -> int:
        """How many frames were published and are not in the broker any more, at the last look."""
        return self.samples[-1].published - self.samples[-1].frames

    def take(self) -> None:
        ledger = read_ledger(self._connection, self._camera)
        results = self._connection.keys.results(self._connection.keys.partition(self._camera))
        kept = self._connection.read("MEMORY USAGE", results, "SAMPLES", 0)
        self.samples.append(
            Sample(
                seconds=time.perf_counter() - self._began,
                results=ledger.results,
                published=ledger.published,
                frames=ledger.in_flight,
                worker_bytes=tuple(worker.memory_info().rss for worker in self._workers),
                broker_rss_bytes=self.server.rss_bytes(),
                broker_used_bytes=int(self.server.memory()["used_memory"]),
                results_bytes=int(kept or 0),
            )
        )


def slope_per_1000(results: Sequence[int], values: Sequence[float]) -> float:
    """How much `values` rise in 1,000 results, by least squares; 0 where there is nothing to go by."""
    if len(set(results)) < 2:
        return 0.0
    middle, level = sum(results) / len(results), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in results)
    return 1000 * sum((at - middle) * (v - level) for at, v in zip(results, values, strict=True)) / spread
