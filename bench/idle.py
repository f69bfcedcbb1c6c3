"""What a worker costs while a thousand cameras are silent, and how long a frame waits that comes then.

    python -m bench.idle
    python -m bench.idle --cameras 10000 --seconds 30

Every camera has sent a frame before, so that the broker knows it and the housekeeping looks at it. The worker
is the real command in a process of its own; its processor time and the broker's are taken while nothing
comes. Then single frames come from cameras chosen at random, with pauses, and each is followed from before it
is published to its result in a reader's hands; what the worker says it took to analyse it is left out.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles

import psutil

from bench.bench import ROOT, Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledgers, total
from facestream.bus.publisher import Epoch
from facestream.bus.tail import tail_results
from facestream.errors import FacestreamError
from facestream_bench.frames import Frame, load_frames, positive
from facestream_bench.report import Figure, Report, at_most, below
from facestream_bench.server import Server

SEED = 1
PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = (0.05, 0.35)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cameras", type=positive, default=1000)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long nothing comes")
    parser.add_argument("--arrivals", type=positive, default=100, help="frames that come then, one by one")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {name: getattr(options, name) for name in ("cameras", "seconds", "arrivals")}
    report = Report("idle", f"A worker and {options.cameras:,} silent cameras", command, settings)
    frame = load_frames("demo:", 320, 1)[0]
    with EmbeddedBroker() as broker:
        connection = Connection(broker.url)
        epochs = [_begin(connection, f"camera-{number}") for number in range(options.cameras)]
        for epoch in epochs:
            _publish(epoch, frame)
        with _worker(broker.url) as worker:
            _wait_until_drained(connection)
            own, servers = _idle_shares(worker, Server(connection), options.seconds)
            waits_ms = _arrivals(connection, epochs, frame, options.arrivals)
        connection.close()
    p95 = quantiles(waits_ms, n=20, method="inclusive")[-1]
    report.figures = [
        Figure("worker_percent", "worker's processor time, of a core", own * 100, "%", 2, below(3)),
        Figure("broker_percent", "broker's, of a core", servers * 100, "%", 2),
        Figure("arrival_p50_ms", "a frame that comes waits, analysis left out", median(waits_ms), "ms"),
        Figure("arrival_p95_ms", "… 95 % of them", p95, "ms", 1, at_most(50)),
        Figure("arrival_max_ms", "… longest", max(waits_ms), "ms"),
    ]
    return report


def _begin(connection: Connection, camera: str) -> Epoch:
    epoch = Epoch.begin(connection, camera, live=False, depth=4)
    assert isinstance(epoch, Epoch)
    return epoch


def _publish(epoch: Epoch, frame: Frame) -> None:
    epoch.totals.capture()
    epoch.publish(frame.header(), frame.encoded.data)


@contextmanager
def _worker(url: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "facestream", "worker", "--redis", url]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | threads, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_drained(connection: Connection) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while total(read_ledgers(connection)).in_flight:
        if time.monotonic() > deadline:
            raise FacestreamError(f"the worker did not finish within {PATIENCE_SECONDS:g} s")
        time.sleep(0.5)


def _idle_shares(worker: psutil.Process, server: Server, seconds: float) -> tuple[float, float]:
    """Of a core: the worker's, the server's."""
    began, times, spent = time.monotonic(), worker.cpu_times(), server.cpu_seconds()
    time.sleep(seconds)
    after, elapsed = worker.cpu_times(), time.monotonic() - began
    own = (after.user - times.user) + (after.system - times.system)  # nothing less nothing is nothing
    return own / elapsed, (server.cpu_seconds() - spent) / elapsed


def _arrivals(connection: Connection, epochs: Sequence[Epoch], frame: Frame, count: int) -> list[float]:
    """Milliseconds from before each is published until its result was read, without its analysis."""
    chosen, results, waits_ms = random.Random(SEED), tail_results(connection), []
    for _ in range(count):
        time.sleep(chosen.uniform(*PAUSE_SECONDS))
        began = time.perf_counter()
        _publish(chosen.choice(epochs), frame)
        read = results.read(2.0)
        if not read:
            raise FacestreamError("no result within 2 s")
        passed_ms = (time.perf_counter() - began) * 1000
        waits_ms.append(passed_ms - sum(read[0]["timings_ms"].values()))
    return waits_ms


BENCH = Bench("idle", __doc__ or "", add_options, measure, short=("--seconds", "10", "--arrivals", "50"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
