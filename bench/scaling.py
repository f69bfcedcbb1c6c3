"""What a frame costs one server and a cluster of masters, and how evenly the cluster shares the work.

    python -m bench.scaling
    python -m bench.scaling --masters 1 3 --cameras 480 --sizes 30 60 200

Each round every camera publishes a frame, then all are taken and committed by one worker. Masters and client
are on one machine, so only processor time is told, by the servers themselves. docs/scaling.md goes on from
there.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from bench.bench import ROOT, Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Outcome, Taker
from facestream_bench.broker import KB, RESULT_BYTES, SPARE_BYTES, clean, make_header, make_image
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report

BATCH, DEPTH = 4, 16
COLUMNS = ("masters", "KB", "all masters", "the busiest", "busiest x masters / all", "client")


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time a frame: of all masters, of the busiest, of the client."""

    servers: float
    busiest: float
    client: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--masters", type=positive, nargs="+", default=[1, 3], help="1 is a single server")
    parser.add_argument("--cameras", type=positive, default=240)
    parser.add_argument("--sizes", type=positive, nargs="+", default=[30, 60, 200], help="pictures, in KB")
    parser.add_argument("--rounds", type=positive, default=5, help="the median counts")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {name: getattr(options, name) for name in ("masters", "cameras", "sizes", "rounds")}
    report = Report("scaling", "What a frame costs one server and a cluster", command, settings)
    costs: dict[tuple[int, int], Cost] = {}
    for masters in options.masters:
        with _broker(masters, SPARE_BYTES + options.cameras * max(options.sizes) * KB) as url:
            for size in options.sizes:
                costs[masters, size] = _measure(url, options.cameras, size * KB, options.rounds)
    rows = [
        [masters, size, cost.servers, cost.busiest, cost.busiest * masters / cost.servers, cost.client]
        for (masters, size), cost in costs.items()
    ]
    report.grids = [Grid("costs_us", "Microseconds of processor time a frame", COLUMNS, rows)]
    report.figures = [
        Figure(f"us_{masters}_{size}kb", f"{_named(masters)}, {size} KB", cost.servers, "µs/frame", 0)
        for (masters, size), cost in costs.items()
    ]
    return report


def _named(masters: int) -> str:
    return "one server" if masters == 1 else f"cluster of {masters} masters"


@contextmanager
def _broker(masters: int, room_bytes: int) -> Iterator[str]:
    if masters == 1:
        with EmbeddedBroker(room_bytes) as broker:
            yield broker.url
        return
    sys.path.append(str(ROOT / "tests"))
    from support.cluster import start_cluster

    with start_cluster(masters) as cluster:
        yield cluster.url


def _measure(url: str, cameras: int, size_bytes: int, rounds: int) -> Cost:
    connection = Connection(url, prefix=f"bench{secrets.token_hex(4)}")
    epochs = [_begin(connection, f"camera-{number}") for number in range(cameras)]
    taker, image = Taker(connection, "bench"), make_image(size_bytes)
    taker.join()
    _round(connection, epochs, taker, image)
    costs = [_round(connection, epochs, taker, image) for _ in range(rounds)]
    taker.leave()
    if not connection.is_cluster:
        clean(connection)
    connection.close()
    return Cost(*(median(getattr(cost, name) for cost in costs) for name in ("servers", "busiest", "client")))


def _begin(connection: Connection, camera: str) -> Epoch:
    epoch = Epoch.begin(connection, camera, live=False, depth=DEPTH)
    assert isinstance(epoch, Epoch)
    return epoch


def _round(connection: Connection, epochs: Sequence[Epoch], taker: Taker, image: bytes) -> Cost:
    before, began, header, ended = _cpu_seconds(connection), time.thread_time(), make_header(), 0
    for epoch in epochs:
        epoch.totals.capture()
        epoch.publish(header, image)
    while ended < len(epochs):
        batch = taker.take(BATCH, 1.0)
        ended += taker.commit([Outcome(delivery, bytes(RESULT_BYTES)) for delivery in batch])
    client = time.thread_time() - began
    spent = [after - first for first, after in zip(before, _cpu_seconds(connection), strict=True)]
    return Cost(*(seconds * 1e6 / len(epochs) for seconds in (sum(spent), max(spent), client)))


def _cpu_seconds(connection: Connection) -> list[float]:
    return [float(info["used_cpu_user"]) + float(info["used_cpu_sys"]) for info in connection.info()]


BENCH = Bench("scaling", __doc__ or "", add_options, measure, short=("--rounds", "3"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
