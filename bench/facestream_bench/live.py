"""Cameras that send on time, a worker as its own process, and the results as a consumer gets them."""

from __future__ import annotations

import heapq
import os
import random
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.tail import tail_results
from facestream.cores import usable_cores
from facestream.errors import FacestreamError, UsageError
from facestream.settings import load_settings
from facestream.supervisor import Supervisor
from facestream_bench.frames import Frame, load_frames, shown_source
from facestream_bench.server import Server

LIVE_DEPTH = 2
FRAMES = 100
POLL_SECONDS = 0.02
START_SECONDS = 60.0
# Cameras are not in step; the same ones are not in step in each run.
SEED = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """What cameras send: frames a second each, of the clip's at that longer side in pixels."""

    source: str
    max_side: int
    attributes: str
    engine: str
    fps: float

    def frames(self) -> list[Frame]:
        """Encoded as a producer does; raises UsageError where the source has none."""
        frames = load_frames(self.source, self.max_side, FRAMES)
        if not frames:
            raise UsageError(f"{shown_source(self.source)} has no frame: choose another --source")
        return frames

    def settings(self) -> dict[str, object]:
        return asdict(self) | {"source": shown_source(self.source)}

    def __str__(self) -> str:
        shown = f"{shown_source(self.source)} at {self.max_side} px, {self.fps:g} frames/s"
        return f"{shown}, {self.attributes}, {self.engine}"


@dataclass(frozen=True, slots=True)
class Seen:
    """One result in the consumer's hands. Seconds: at which it came, since its frame was captured, both."""

    camera: str
    at: float
    age: float


class Stage:
    """A broker, a connection to it, and one worker on a core of its own, joined and waiting."""

    def __init__(self, connection: Connection, worker_pid: int, server: Server) -> None:
        self.connection, self.worker_pid, self.server = connection, worker_pid, server


@contextmanager
def stage(scene: Scene) -> Iterator[Stage]:
    """One worker on the first core; broker, cameras and consumer on the others, where there are others."""
    settings = load_settings()
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker())
        environment = settings.as_environment(broker.url)
        children = stack.enter_context(Supervisor(lambda line: print(line, file=sys.stderr), environment))
        connection = Connection(broker.url, prefix=settings.prefix)
        stack.callback(connection.close)
        arguments = ["worker", "--attributes", scene.attributes, "--engine", scene.engine]
        pid = children.start("worker", arguments).process.pid
        _await_worker(connection, children)
        server = Server(connection)
        stack.enter_context(_apart(pid, server))
        yield Stage(connection, pid, server)
        children.stop()


def _await_worker(connection: Connection, children: Supervisor) -> None:
    deadline = time.monotonic() + START_SECONDS
    lines = [connection.keys.workers(partition) for partition in range(connection.keys.partitions)]
    while not any(connection.read("ZCARD", line) for line in lines):
        if children.check() or time.monotonic() > deadline:
            raise FacestreamError("the worker did not start; what it said is above")
        time.sleep(POLL_SECONDS)


@contextmanager
def _apart(worker_pid: int, server: Server) -> Iterator[None]:
    cores = usable_cores()
    if not hasattr(os, "sched_setaffinity") or len(cores) < 2:
        yield
        return
    for thread in Path(f"/proc/{worker_pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[0]})
    server.run_on(cores[-1])
    os.sched_setaffinity(0, set(cores[1:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


class Cameras:
    """So many live cameras that send the frames of a clip, each at its own moments, in a thread."""

    def __init__(
        self, connection: Connection, frames: Sequence[Frame], names: Sequence[str], fps: float
    ) -> None:
        self._frames, self._interval = frames, 1 / fps
        self._epochs: Mapping[str, Epoch] = {name: _begin(connection, name) for name in names}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, name="cameras", daemon=True)
        self.published = self.late = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for epoch in self._epochs.values():
            epoch.report(ended=True)

    def _send(self) -> None:
        rng, began = random.Random(SEED), time.monotonic()
        due = [(began + rng.random() * self._interval, name, 0) for name in self._epochs]
        heapq.heapify(due)
        while not self._stop.is_set():
            moment, name, number = due[0]
            if self._stop.wait(max(0.0, moment - time.monotonic())):
                break
            # A sender that cannot keep up would measure itself.
            self.late += time.monotonic() - moment > self._interval
            frame = self._frames[number % len(self._frames)]
            header = replace(frame.header(), camera=name, captured_at_us=time.time_ns() // 1000)
            self._epochs[name].publish(header, frame.encoded.data)
            self.published += 1
            heapq.heapreplace(due, (moment + self._interval, name, number + 1))


def _begin(connection: Connection, name: str) -> Epoch:
    epoch = Epoch.begin(connection, name, live=True, depth=LIVE_DEPTH)
    assert isinstance(epoch, Epoch)
    return epoch


def watch(connection: Connection, seconds: float) -> list[Seen]:
    """Every result of the next seconds, as a consumer that waits for them gets them."""
    results, seen = tail_results(connection), []
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        found = results.read(max(0.001, left))
        now = time.time()
        seen += [Seen(each["camera"], now, now - each["captured_at_us"] / 1e6) for each in found]
    return seen


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
