"""Memory of workers and of the broker while a long file goes through, losslessly.

    python -m bench.memory
    python -m bench.memory --source demo:seconds=60 --attributes gender
    python -m bench.memory --times 21 --max-side 160          100,000 frames, in minutes

The capture loop runs here; the workers are the real command, one for each of --attributes, and the broker
is the embedded one. Memory is read several times a second, from when all workers are there. Beside what
the server uses for itself, which is what is left when all frames have ended, the broker must hold no more
than the frames that may be unread (depth), in workers' hands (a batch each) and on their way to them (a
batch each). What it keeps of results is bounded by another setting (results_bytes) and told apart.
MB are 1,000,000 bytes.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from bench.bench import Bench, shared_clip
from bench.memory_samples import Sample, Sampler, slope_per_1000
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, read_ledger
from facestream.bus.publisher import Epoch
from facestream.commands.options import parse_attributes
from facestream.errors import FacestreamError
from facestream.settings import Settings
from facestream.supervisor import Supervisor
from facestream_bench.frames import Again, FirstFrames, positive, shown_source
from facestream_bench.report import Figure, Grid, Report, at_most, below
from facestream_producer.capture import Capture, Shape
from facestream_producer.hooks import Hooks
from facestream_producer.session import LOSSLESS_DEPTH

CAMERA = "bench"
LONG_CLIP = "fgnet_talking_face_franck.mp4"
SAMPLE_SECONDS = 0.2
POLL_SECONDS = 0.02
# Of the run, before everything has run often enough for memory to have settled.
WARM_UP_SHARE = 0.1
MB = 1e6
GOAL_MB = 250
# One frame in some hundreds that was not let go would be more.
FLAT_MB_PER_1000 = 0.1
# What the server uses for itself grows at the start: scripts, buffers, statistics of each command used.
OWN_MB = 2.0


@dataclass(slots=True)
class Run:
    """What was seen: samples over time, the ledger at the end, sizes of the frames published."""

    samples: list[Sample]
    ledger: Ledger
    frame_bytes: list[int]
    empty_broker_bytes: int
    peak_bytes: int

    @property
    def settled(self) -> list[Sample]:
        """The samples after the warm-up."""
        warm = [each for each in self.samples if each.results >= WARM_UP_SHARE * self.ledger.published]
        return warm or self.samples[-1:]

    @property
    def mean_frame_bytes(self) -> float:
        return sum(self.frame_bytes) / len(self.frame_bytes)

    def slope(self, values: Sequence[float]) -> float:
        return slope_per_1000([each.results for each in self.settled], values)


class _Sizes(Hooks):
    def __init__(self) -> None:
        self.all: list[int] = []

    def published(self, size_bytes: int) -> None:
        self.all.append(size_bytes)


def add_options(parser: argparse.ArgumentParser) -> None:
    source = shared_clip(LONG_CLIP, "demo:seconds=30")
    parser.add_argument("--source", default=source, help="a file or demo:; the longer the better")
    parser.add_argument(
        "--times", type=positive, default=1, help="play it so often: 21 times the long clip is 100,000 frames"
    )
    parser.add_argument("--frames", type=positive, default=1_000_000, help="frames of it, at most")
    parser.add_argument("--max-side", type=positive, default=640, help="longer side of a frame, in pixels")
    parser.add_argument("--depth", type=positive, default=LOSSLESS_DEPTH, help="frames unread, at most")
    parser.add_argument(
        "--attributes", nargs="+", default=["gender", "gender,age"], help="one worker for each of these"
    )


def measure(options: argparse.Namespace, command: str) -> Report:
    for attributes in options.attributes:
        parse_attributes(attributes)
    settings = {
        "source": shown_source(options.source),
        "max_side": options.max_side,
        "depth": options.depth,
        "batch": Settings().batch,
        "workers": options.attributes,
    }
    report = Report("memory", "", command, settings)
    with EmbeddedBroker() as broker:
        run = _carry(broker.url, options)
    if run.ledger.results != run.ledger.published:
        raise FacestreamError(
            f"{run.ledger.published} frames published, {run.ledger.results} results: what went wrong is above"
        )
    frames, workers = run.ledger.published, len(options.attributes)
    report.title = f"Memory: {settings['source']}, {frames:,} frames, {workers} workers"
    report.figures = [*_workers(run, options.attributes), *_broker(run, options)]
    report.grids = [_over_time(run)]
    report.details = {
        "published": run.ledger.published,
        "results": run.ledger.results,
        "closes": run.ledger.closes,
        "samples": len(run.samples),
    }
    return report


def _carry(url: str, options: argparse.Namespace) -> Run:
    """The whole source through broker and workers, looked at until every frame has its end."""
    environment = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "FACESTREAM_REDIS": url,
        "FACESTREAM_BATCH": str(Settings().batch),
    }
    sizes, stop = _Sizes(), threading.Event()
    with ExitStack() as stack:
        connection = Connection(url, prefix=Settings().prefix)
        stack.callback(connection.close)
        children = stack.enter_context(Supervisor(lambda line: print(line, file=sys.stderr), environment))
        workers = [
            children.start(f"worker-{number}", ["worker", "--attributes", attributes]).process.pid
            for number, attributes in enumerate(options.attributes)
        ]
        sampler = Sampler(connection, CAMERA, workers)
        empty = int(sampler.server.memory()["used_memory"])
        _await_workers(connection, children, len(workers))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(stop.set)
        capture = pool.submit(_capture, url, options, sizes, stop)
        while not children.check():
            sampler.take()
            # A source that cannot be read raises here.
            if capture.done() and capture.result() == sampler.ended:
                break
            stop.wait(SAMPLE_SECONDS)
        stop.set()
        capture.result()
        peak = int(sampler.server.memory()["used_memory_peak"])
        run = Run(sampler.samples, read_ledger(connection, CAMERA), sizes.all, empty, peak)
        children.stop()
    return run


def _await_workers(connection: Connection, children: Supervisor, wanted: int) -> None:
    """Until all have joined: before, memory rises because they load."""
    joined = connection.keys.workers(connection.keys.partition(CAMERA))
    while connection.read("ZCARD", joined) < wanted:
        if children.check():
            raise FacestreamError("a worker did not start; what it said is above")
        time.sleep(POLL_SECONDS)


def _capture(url: str, options: argparse.Namespace, sizes: _Sizes, stop: threading.Event) -> int:
    """The producer's own loop, over the source or its beginning; how many frames were published."""
    settings = Settings()
    connection = Connection(url, prefix=settings.prefix)
    source = FirstFrames(Again(options.source, options.times), options.frames)
    try:
        epoch = Epoch.begin(connection, CAMERA, live=False, depth=options.depth)
        assert isinstance(epoch, Epoch)
        shape = Shape(options.max_side, settings.jpeg_quality, None, None)
        Capture(source, epoch, shape, sizes, stop).run()
        if not sizes.all:
            raise FacestreamError(f"{shown_source(options.source)} has no frame: choose another --source")
        return len(sizes.all)
    finally:
        source.close()
        connection.close()


def _workers(run: Run, attributes: Sequence[str]) -> list[Figure]:
    figures = []
    for number, roles in enumerate(attributes):
        mb = [each.worker_bytes[number] / MB for each in run.settled]
        key = f"worker_{roles.replace(',', '_')}"
        figures += [
            Figure(f"{key}_warm_mb", f"worker with {roles}: resident, warm", mb[0], "MB"),
            Figure(f"{key}_mb", "… at the end", mb[-1], "MB", goal=below(GOAL_MB)),
            Figure(f"{key}_slope", "… rise", run.slope(mb), "MB/1,000 frames", 3),
        ]
    return figures


def _broker(run: Run, options: argparse.Namespace) -> list[Figure]:
    peak = max(each.broker_frames_bytes for each in run.samples) / MB
    own = [(each.broker_frames_bytes - each.frames * run.mean_frame_bytes) / MB for each in run.settled]
    drained, empty = run.samples[-1].broker_frames_bytes / MB, run.empty_broker_bytes / MB
    largest, hands = max(run.frame_bytes), len(options.attributes) * Settings().batch
    per = "MB/1,000 frames"
    rss = max(each.broker_rss_bytes for each in run.samples) / MB
    # Unread, in hand, on their way to hands.
    bound = drained + (options.depth + 2 * hands) * largest / MB
    return [
        Figure("frame_kb", "frame, mean", run.mean_frame_bytes / 1000, "KB"),
        Figure("frames_peak_mb", "broker: used without results, highest", peak, "MB", 2, at_most(bound)),
        Figure("slope", "… rise, frames left out", run.slope(own), per, 3, at_most(FLAT_MB_PER_1000)),
        Figure("own_mb", "… when all frames had ended", drained, "MB", 2, at_most(empty + OWN_MB)),
        Figure("used_peak_mb", "… used in all, peak by its own count", run.peak_bytes / MB, "MB", 2),
        Figure("results_mb", "… of which results at the end", run.samples[-1].results_bytes / MB, "MB", 2),
        Figure("rss_peak_mb", "… resident, highest seen", rss, "MB", 2),
        Figure("rate_fps", "rate of the run", _rate(run), "frames/s"),
    ]


def _rate(run: Run) -> float:
    first, last = run.settled[0], run.settled[-1]
    return (last.results - first.results) / max(last.seconds - first.seconds, 1e-9)


def _over_time(run: Run) -> Grid:
    """Tenths of the run, the median of each."""
    workers = range(len(run.samples[0].worker_bytes))
    rows: list[list[float]] = []
    for tenth in range(10):
        low, high = (run.ledger.published * bound / 10 for bound in (tenth, tenth + 1))
        part = [_row(each) for each in run.samples if low < each.results <= high]
        if part:
            rows.append([round(high), *(median(column) for column in zip(*part, strict=True))])
    names = ["results until", "frames in the broker", "MB without results", "results", "resident"]
    names += [f"worker {number}" for number in workers]
    return Grid("over_time_mb", "The broker, then the workers, in MB: medians of each tenth", names, rows, 1)


def _row(sample: Sample) -> list[float]:
    broker = (sample.broker_frames_bytes, sample.results_bytes, sample.broker_rss_bytes)
    return [float(sample.frames), *(each / MB for each in (*broker, *sample.worker_bytes))]


BENCH = Bench("memory", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
