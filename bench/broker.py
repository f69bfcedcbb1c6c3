"""What a frame costs the broker when there are many workers and many cameras: is it flat?

    python -m bench.broker
    python -m bench.broker --workers 1 32 --cameras 1 1000 --sizes 60 --frames 2000

Frames come at a pace the workers keep up with, so that all of them are blocked and waiting most of the
time, which is when waiting could cost something; their pipeline does nothing. The server tells its own
processor time for publish, take and commit together. Nobody waits on many streams at once: a worker waits
on the line of cameras whose turn it is.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.bench import Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledgers, total
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Outcome, Taker
from facestream_bench.broker import KB, RESULT_BYTES, SPARE_BYTES, make_header, make_image
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report, at_most
from facestream_bench.server import Server

DEPTH = 64
BATCH = 4
WAIT_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Crowd:
    workers: int
    cameras: int
    size_kb: int


@dataclass(frozen=True, slots=True)
class Cost:
    """server_us: the server's processor time a frame; idle_us_a_second: what waiting workers cost it."""

    server_us: float
    idle_us_a_second: float
    results: int
    closes: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=positive, nargs="+", default=[1, 8, 32])
    parser.add_argument("--cameras", type=positive, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--sizes", type=positive, nargs="+", default=[30, 60], help="pictures, in KB")
    parser.add_argument("--frames", type=positive, default=2000, help="frames of each combination")
    parser.add_argument("--rate", type=positive, default=400, help="frames a second, over all cameras")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {name: getattr(options, name) for name in ("workers", "cameras", "sizes", "frames", "rate")}
    report = Report("broker", "What a frame costs the broker in a crowd", command, settings)
    crowds = [
        Crowd(workers, cameras, size)
        for size in options.sizes
        for workers in options.workers
        for cameras in options.cameras
    ]
    costs: dict[Crowd, Cost] = {}
    with EmbeddedBroker(
        SPARE_BYTES + 2 * options.frames * (max(options.sizes) * KB + RESULT_BYTES)
    ) as broker:
        for crowd in crowds:
            costs[crowd] = _measure(broker.url, crowd, options.frames, options.rate)
    report.grids = [
        Grid(
            "costs_us",
            "Microseconds of the server's processor",
            ["KB", "workers", "cameras", "a frame", "idle, a second"],
            [
                [crowd.size_kb, crowd.workers, crowd.cameras, cost.server_us, cost.idle_us_a_second]
                for crowd, cost in costs.items()
            ],
            0,
        )
    ]
    report.figures = [_spread(size, costs) for size in options.sizes]
    report.details = {
        "published": len(crowds) * options.frames,
        "results": sum(cost.results for cost in costs.values()),
        "ledgers_close": all(cost.closes for cost in costs.values()),
    }
    return report


def _spread(size: int, costs: dict[Crowd, Cost]) -> Figure:
    """The largest crowd's cost over the smallest's."""
    of_size = {crowd: cost.server_us for crowd, cost in costs.items() if crowd.size_kb == size}
    smallest = of_size[min(of_size, key=lambda crowd: (crowd.workers, crowd.cameras))]
    largest = of_size[max(of_size, key=lambda crowd: (crowd.workers, crowd.cameras))]
    return Figure(
        f"spread_{size}kb",
        f"largest crowd over smallest, {size} KB",
        largest / smallest,
        "x",
        2,
        at_most(1.5),
    )


def _measure(url: str, crowd: Crowd, frames: int, rate: int) -> Cost:
    connection = Connection(url, prefix=f"bench{secrets.token_hex(4)}")
    server = Server(connection)
    epochs = [_begin(connection, f"camera-{number}") for number in range(crowd.cameras)]
    with _waiting_workers(connection, crowd.workers):
        idle = _idle_us_a_second(server)
        before = server.cpu_seconds()
        _publish(epochs, crowd.size_kb, frames, rate)
        results, closes = _wait_until_drained(connection, frames)
        spent = server.cpu_seconds() - before
    connection.close()
    return Cost(spent * 1e6 / frames, idle, results, closes)


def _begin(connection: Connection, camera: str) -> Epoch:
    epoch = Epoch.begin(connection, camera, live=False, depth=DEPTH)
    assert isinstance(epoch, Epoch)
    return epoch


@contextmanager
def _waiting_workers(connection: Connection, count: int) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(connection, f"w{number}", stop), daemon=True)
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(connection: Connection, name: str, stop: threading.Event) -> None:
    taker, payload = Taker(connection, name), bytes(RESULT_BYTES)
    taker.join()
    sweep_at = time.monotonic()
    while not stop.is_set():
        batch = taker.take(BATCH, WAIT_SECONDS)
        taker.commit([Outcome(delivery, payload) for delivery in batch])
        if time.monotonic() >= sweep_at:
            taker.sweep()
            sweep_at = time.monotonic() + WAIT_SECONDS
    taker.leave()


def _idle_us_a_second(server: Server, seconds: float = 1.0) -> float:
    before, began = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) * 1e6 / (time.monotonic() - began)


def _publish(epochs: Sequence[Epoch], size_kb: int, frames: int, rate: int) -> None:
    """Each camera in turn, evenly over time."""
    header, image = make_header(), make_image(size_kb * KB)
    began = time.monotonic()
    for number in range(frames):
        epoch = epochs[number % len(epochs)]
        epoch.totals.capture()
        epoch.publish(header, image)
        time.sleep(max(0.0, began + number / rate - time.monotonic()))


def _wait_until_drained(connection: Connection, frames: int) -> tuple[int, bool]:
    """Few looks, long apart: they cost the server too."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    time.sleep(0.2)
    while True:
        whole = total(read_ledgers(connection))
        if whole.results >= frames or time.monotonic() > deadline:
            return whole.results, whole.closes
        time.sleep(0.5)


BENCH = Bench("broker", __doc__ or "", add_options, measure, short=("--frames", "600", "--sizes", "30", "60"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
