"""A worker and its own bare loop in one process, on one core, with the broker on another."""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import simplejpeg
from prometheus_client import CollectorRegistry

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.tail import tail_results
from facestream.bus.taker import Taker
from facestream.contract import ResultMap
from facestream.log import Log
from facestream_bench.frames import Frame, batches, publish_all
from facestream_bench.server import Server, pinned
from facestream_models import Analyser
from facestream_models.stages import Stages
from facestream_worker.hooks import Hooks
from facestream_worker.loop import serve
from facestream_worker.metrics import PrometheusHooks
from facestream_worker.notices import Notices
from facestream_worker.pipeline import Pipeline, Settled

CAMERA = "bench"
MAX_ATTEMPTS = 5
ROOM_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Round:
    """What one pass over the frames took. stages: seconds by name; cpu: of this process alone."""

    frames: int
    seconds: float
    cpu_seconds: float
    stages: Stages
    broker_cpu_seconds: float = 0.0
    dropped: int = 0

    @property
    def fps(self) -> float:
        return self.frames / self.seconds

    def ms_a_frame(self, stage: str) -> float:
        return self.stages.get(stage, 0.0) * 1000 / self.frames

    @property
    def rest_ms_a_frame(self) -> float:
        """What no stage accounts for."""
        return (self.seconds - sum(self.stages.values())) * 1000 / self.frames


class _UntilDone(Hooks):
    """Adds up stages, and stops the loop when every frame has its end."""

    def __init__(self, frames: int, stop: threading.Event) -> None:
        self._missing, self._stop = frames, stop
        self.stages = Stages()
        self.dropped = 0

    def stood_still(self, seconds: float) -> None:
        self._add("broker", seconds)

    def settled(self, settled: Settled, commit_seconds: float, ended: int) -> None:
        for stage, seconds in settled.stages.items():
            self._add(stage, seconds)
        self.dropped += sum(outcome.reason is not None for outcome in settled.outcomes)
        self._missing -= ended
        if self._missing <= 0:
            self._stop.set()

    def _add(self, stage: str, seconds: float) -> None:
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds


class Rig:
    """Holds the frames, the analyser that both loops share, and a broker with room for all frames."""

    def __init__(self, url: str, frames: Sequence[Frame], analyser: Analyser, batch: int) -> None:
        self._frames, self._analyser, self._batch = frames, analyser, batch
        self._connection = Connection(url, prefix=f"bench{secrets.token_hex(4)}")
        self.server = Server(self._connection)
        worker = "bench"
        self._taker = Taker(self._connection, worker)
        self._pipeline = Pipeline(analyser, worker, MAX_ATTEMPTS)
        # What a worker process listens with, so that its cost is in the figure.
        self._hooks = [
            PrometheusHooks(CollectorRegistry()),
            Notices(Log("worker", worker, stream=io.StringIO())),
        ]
        self.results: list[ResultMap] = []

    def worker_round(self) -> Round:
        """All frames are published, then the clock starts, then the worker's own loop settles them."""
        epoch = Epoch.begin(self._connection, CAMERA, live=False, depth=len(self._frames))
        assert isinstance(epoch, Epoch)
        publish_all(epoch, self._frames)
        epoch.report(ended=True)
        results = tail_results(self._connection)
        stop = threading.Event()
        counting = _UntilDone(len(self._frames), stop)
        self._taker.join()
        before = self.server.cpu_seconds()
        began, began_cpu = time.perf_counter(), time.process_time()
        serve(self._taker, self._pipeline, [*self._hooks, counting], stop, self._batch)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
        broker = self.server.cpu_seconds() - before
        self._taker.leave()
        self.results = []
        while found := results.read(0.001):
            self.results += found
        return Round(len(self._frames), seconds, cpu_seconds, counting.stages, broker, counting.dropped)

    def bare_round(self) -> Round:
        """The same bytes through the same analyser, as many at a time as the loop computes; nothing else."""
        jpegs = [frame.encoded.data for frame in self._frames]
        stages = Stages()
        began, began_cpu = time.perf_counter(), time.process_time()
        for batch in batches(jpegs, max(1, self._batch // 2)):
            with stages.measure("decode"):
                images = [simplejpeg.decode_jpeg(jpeg, colorspace="BGR") for jpeg in batch]
            self._analyser.analyse(images, stages=stages)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
        return Round(len(self._frames), seconds, cpu_seconds, stages)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def rig(frames: Sequence[Frame], analyser: Analyser, batch: int) -> Iterator[Rig]:
    """A rig with a broker of its own; this thread on one core, the broker on another, where there are two."""
    cv2.setNumThreads(1)
    size = sum(len(frame.encoded.data) for frame in frames)
    with EmbeddedBroker(2 * size + ROOM_BYTES) as broker, pinned() as cores:
        made = Rig(broker.url, frames, analyser, batch)
        try:
            if cores:
                made.server.run_on(cores[1])
            yield made
        finally:
            made.close()
