"""What the broker costs a frame: publish, take and commit, with a pipeline that does nothing.

    python -m bench.bus
    python -m bench.bus --sizes 60 --batches 1 4 8 --frames 2000

One client, one camera, pictures of random bytes, results of the size a frame of four faces has. Each step
is one round trip, so its time is the client's and the server's together; the server's own processor time
is told by the server. Client and server each have a core.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.bench import Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Outcome, Taker
from facestream_bench.frames import Frame, batches, positive
from facestream_bench.report import Figure, Grid, Report
from facestream_bench.server import Server, pinned
from facestream_producer.encoder import Encoded

# Published at most before they are taken: bounds memory, and leaves the broker as deep as a busy camera.
UNREAD = 32
RESULT_BYTES = 1200
SPARE_BYTES = 64 << 20
KB = 1000
SEED = 1
# The size and the batch that stand for a frame of 1280 x 720.
USUAL = (60, 4)


@dataclass(slots=True)
class Cost:
    """Seconds a pass over the frames took, by step; `ended` counts frames that were settled."""

    frames: int
    publish: float = 0.0
    take: float = 0.0
    commit: float = 0.0
    client_cpu: float = 0.0
    server_cpu_publish: float = 0.0
    server_cpu_settle: float = 0.0
    ended: int = 0

    @property
    def all(self) -> float:
        return self.publish + self.take + self.commit

    @property
    def server_cpu(self) -> float:
        return self.server_cpu_publish + self.server_cpu_settle


# The columns of the table and the fields of Cost that they show.
SHOWN = {
    "publish": "publish",
    "take": "take",
    "commit": "commit",
    "all": "all",
    "client cpu": "client_cpu",
    "server cpu": "server_cpu",
    "… publish": "server_cpu_publish",
    "… take, commit": "server_cpu_settle",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=positive, nargs="+", default=[30, 60, 200], help="pictures, in KB")
    parser.add_argument("--batches", type=positive, nargs="+", default=[1, 4], help="frames taken at a time")
    parser.add_argument("--frames", type=positive, default=500, help="frames of a round")
    parser.add_argument("--repeat", type=positive, default=5, help="rounds of each kind; the median counts")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {
        "sizes_kb": options.sizes,
        "batches": options.batches,
        "frames": options.frames,
        "repeat": options.repeat,
    }
    report = Report("bus", "What the broker costs a frame", command, settings)
    rows: list[dict[str, float]] = []
    ended = 0
    rounds = len(options.sizes) * len(options.batches) * (options.repeat + 1)
    room = UNREAD * max(options.sizes) * KB + rounds * options.frames * 2 * RESULT_BYTES
    with EmbeddedBroker(SPARE_BYTES + room) as broker, pinned() as cores:
        for size in options.sizes:
            for batch in options.batches:
                costs = _repeat(broker.url, size, batch, options, cores)
                ended += sum(cost.ended for cost in costs)
                rows.append({"KB": size, "batch": batch, **_us_a_frame(costs)})
    columns = list(rows[0])
    report.grids = [
        Grid("costs_us", "Microseconds a frame", columns, [list(row.values()) for row in rows], 0)
    ]
    chosen = next((row for row in rows if (row["KB"], row["batch"]) == USUAL), rows[-1])
    ceiling = 1e6 / max(chosen["server cpu"], 1e-9)
    of = f"{chosen['KB']} KB, batches of {chosen['batch']}"
    report.figures = [
        Figure("round_trips_us", f"publish, take and commit, {of}", chosen["all"], "µs/frame", 0),
        Figure("server_cpu_us", f"server's processor time, {of}", chosen["server cpu"], "µs/frame", 0),
        Figure("ceiling_fps", "frames one server core would carry", ceiling, "frames/s", 0),
    ]
    report.details = {"published": len(rows) * options.repeat * options.frames, "ended": ended}
    return report


def _repeat(
    url: str, size_kb: int, batch: int, options: argparse.Namespace, cores: tuple[int, int] | None
) -> list[Cost]:
    connection = Connection(url, prefix=f"bench{secrets.token_hex(4)}")
    try:
        server = Server(connection)
        if cores:
            server.run_on(cores[1])
        _pass(connection, server, size_kb, batch, UNREAD)
        return [_pass(connection, server, size_kb, batch, options.frames) for _ in range(options.repeat)]
    finally:
        connection.close()


def _pass(connection: Connection, server: Server, size_kb: int, batch: int, frames: int) -> Cost:
    """Publish some, take and commit them, until all have ended."""
    epoch = Epoch.begin(connection, "bench", live=False, depth=UNREAD)
    assert isinstance(epoch, Epoch)
    taker = Taker(connection, "bench")
    taker.join()
    cost = Cost(frames)
    for some in batches([make_frame(size_kb * KB)] * frames, UNREAD):
        began_cpu = time.thread_time()
        _publish(epoch, some, server, cost)
        _settle(taker, batch, len(some), server, cost)
        cost.client_cpu += time.thread_time() - began_cpu
    epoch.report(ended=True)
    taker.leave()
    return cost


def _publish(epoch: Epoch, frames: Sequence[Frame], server: Server, cost: Cost) -> None:
    before, began = server.cpu_seconds(), time.perf_counter()
    for frame in frames:
        epoch.publish(frame.header(), frame.encoded.data)
    cost.publish += time.perf_counter() - began
    cost.server_cpu_publish += server.cpu_seconds() - before


def _settle(taker: Taker, batch: int, count: int, server: Server, cost: Cost) -> None:
    payload = bytes(RESULT_BYTES)
    before, enough = server.cpu_seconds(), cost.ended + count
    while cost.ended < enough:
        began = time.perf_counter()
        deliveries = taker.take(batch, 1.0)
        took = time.perf_counter()
        cost.ended += taker.commit([Outcome(delivery, payload) for delivery in deliveries])
        cost.take += took - began
        cost.commit += time.perf_counter() - took
    cost.server_cpu_settle += server.cpu_seconds() - before


def _us_a_frame(costs: Sequence[Cost]) -> dict[str, float]:
    """Of each column the median of the rounds."""
    return {
        column: round(median(getattr(cost, name) * 1e6 / cost.frames for cost in costs), 1)
        for column, name in SHOWN.items()
    }


def make_frame(size_bytes: int) -> Frame:
    """Bytes that do not compress, where a picture would be."""
    data = random.Random(SEED).randbytes(size_bytes)
    return Frame(Encoded(data, 640, 360, 1280, 720, (0, 0, 1280, 720)), "bench", 0, 0)


BENCH = Bench("bus", __doc__ or "", add_options, measure, short=("--frames", "200", "--repeat", "3"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
