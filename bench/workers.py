"""What several workers cost and do beside what one does: processor time a frame, and the rate.

    python -m bench.workers --workers 1 2

The workers are the real command, as processes of their own. They wait; then all frames are published at
once, and the clock runs until each has its result. Processor time is the workers' own, told by the system;
rounds of the different numbers take turns. The rate's goal leaves out what the broker takes of a core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from bench.bench import Bench, shared_clip
from bench.labels import MOSAIC
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.publisher import Epoch
from facestream.cores import usable_cores
from facestream.errors import FacestreamError
from facestream.settings import Settings
from facestream.supervisor import Supervisor
from facestream_bench.cameras import cpu_seconds
from facestream_bench.frames import DEMO, Frame, load_frames, positive, publish_all, shown_source
from facestream_bench.report import Figure, Grid, Report, at_least, at_most
from facestream_bench.server import Server

ROOM_BYTES = 256 << 20
POLL_SECONDS = 0.01
# A round that takes longer has a worker that died.
LONGEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Crowd:
    """One round: processor time of all workers together, and of the broker."""

    workers: int
    frames: int
    seconds: float
    cpu: float
    broker_cpu: float

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu / self.frames

    @property
    def fps(self) -> float:
        return self.frames / self.seconds


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=shared_clip(MOSAIC, DEMO), help="a clip or demo:")
    parser.add_argument("--max-side", type=positive, default=640, help="longer side of a frame, in pixels")
    parser.add_argument("--attributes", default="gender", help="none, gender or gender,age")
    parser.add_argument("--workers", type=positive, nargs="+", default=[1, 2], help="how many, each")
    parser.add_argument("--frames", type=positive, default=300, help="frames of a round, at most")
    parser.add_argument("--repeat", type=positive, default=5, help="rounds of each")


def measure(options: argparse.Namespace, command: str) -> Report:
    frames = load_frames(options.source, options.max_side, options.frames)
    settings = {"source": shown_source(options.source), "workers": options.workers, "frames": len(frames)}
    report = Report("workers", f"Several workers: {settings['source']}", command, settings)
    crowds: dict[int, list[Crowd]] = {}
    with ExitStack() as stack:
        stages = {n: stack.enter_context(_stage(n, frames, options.attributes)) for n in options.workers}
        for turn in range(options.repeat + 1):
            for number, stage in stages.items():
                crowd = stage.round(f"turn-{turn}", frames)
                if turn:  # the first warms up
                    crowds.setdefault(number, []).append(crowd)
    report.figures = _figures(crowds)
    report.grids = [_table(crowds)]
    report.details = {"rounds": {str(n): len(each) for n, each in crowds.items()}}
    return report


class Stage:
    """A broker and its workers, which wait."""

    def __init__(self, connection: Connection, pids: Sequence[int]) -> None:
        self._connection, self._pids, self._server = connection, pids, Server(connection)

    def round(self, camera: str, frames: Sequence[Frame]) -> Crowd:
        epoch = Epoch.begin(self._connection, camera, live=False, depth=len(frames))
        assert isinstance(epoch, Epoch)
        before = sum(map(cpu_seconds, self._pids))
        began = time.monotonic()
        publish_all(epoch, frames)
        published_cpu = self._server.cpu_seconds()
        epoch.report(ended=True)
        while read_ledger(self._connection, camera).results < len(frames):
            if time.monotonic() - began > LONGEST_SECONDS:
                raise FacestreamError("the workers did not end their frames; what they said is above")
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        cpu = sum(map(cpu_seconds, self._pids)) - before
        # What publishing cost the broker belongs to the producer.
        broker_cpu = self._server.cpu_seconds() - published_cpu
        return Crowd(len(self._pids), len(frames), seconds, cpu, broker_cpu)


@contextmanager
def _stage(workers: int, frames: Sequence[Frame], attributes: str) -> Iterator[Stage]:
    size = sum(len(frame.encoded.data) for frame in frames)
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(2 * size + ROOM_BYTES))
        environment = Settings().as_environment(broker.url)
        children = stack.enter_context(Supervisor(lambda line: print(line, file=sys.stderr), environment))
        connection = Connection(broker.url, prefix=Settings().prefix)
        stack.callback(connection.close)
        pids = [
            children.start(f"worker-{n}", ["worker", "--attributes", attributes]).process.pid
            for n in range(workers)
        ]
        joined = connection.keys.workers(0)
        while connection.read("ZCARD", joined) < workers:
            if children.check():
                raise FacestreamError("a worker did not start; what it said is above")
            time.sleep(POLL_SECONDS)
        yield Stage(connection, pids)
        children.stop()


def _figures(crowds: dict[int, list[Crowd]]) -> list[Figure]:
    least, most = min(crowds), max(crowds)
    one, many = crowds[least], crowds[most]
    cpu = median(b.cpu_ms / a.cpu_ms for a, b in zip(one, many, strict=True))
    rate = median(b.fps / a.fps for a, b in zip(one, many, strict=True))
    share = median(crowd.broker_cpu / crowd.seconds for crowd in many)
    # More workers than cores do no more.
    could = (min(most, len(usable_cores())) - share) / least
    return [
        Figure("cpu_ratio", f"processor time a frame, {most} workers to {least}", cpu, "x", 3, at_most(1.05)),
        Figure("rate_ratio", f"rate, {most} workers to {least}", rate, "x", 2, at_least(0.95 * could)),
        Figure("broker_share", "the broker's share of a core meanwhile", 100 * share, "%", 1),
    ]


def _table(crowds: dict[int, list[Crowd]]) -> Grid:
    rows = [
        (
            *(number, median(each.fps for each in rounds), median(each.cpu_ms for each in rounds)),
            median(1e6 * each.broker_cpu / each.frames for each in rounds),
        )
        for number, rounds in crowds.items()
    ]
    columns = ("workers", "frames/s", "cpu ms a frame", "broker µs a frame")
    return Grid("workers", "By number of workers", columns, rows)


BENCH = Bench("workers", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
