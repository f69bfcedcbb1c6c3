"""What the broker costs a frame, and how many it carries: publish, take and commit alone."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Outcome, Taker
from facestream.contract import FrameHeader
from facestream.errors import UsageError
from facestream_bench.report import Figure, Grid, Report
from facestream_bench.server import Server, pinned

# Published at most before they are taken: bounds memory, and leaves the broker as deep as a busy camera.
UNREAD = 32
RESULT_BYTES = 1200
SPARE_BYTES = 64 << 20
KB = 1000
SEED = 1
# The size and the batch that stand for a frame of 1280 x 720.
USUAL = (60, 4)
# A camera's frames a second, and how much of a core a server is to be given work for: the rest is for peaks.
CAMERA_FPS, LOAD = 5, 0.7
CARRIES = f"What one server carries; cameras at {LOAD:.0%} of a core"


@dataclass(frozen=True, slots=True)
class Plan:
    """sizes_kb: of the pictures. batches: frames taken at a time. frames: of a round. repeat: rounds, of
    which the median counts."""

    sizes_kb: Sequence[int]
    batches: Sequence[int]
    frames: int
    repeat: int

    @property
    def room_bytes(self) -> int:
        rounds = len(self.sizes_kb) * len(self.batches) * (self.repeat + 1)
        return UNREAD * max(self.sizes_kb) * KB + rounds * self.frames * 2 * RESULT_BYTES


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


def measure(plan: Plan, command: str, url: str | None = None) -> Report:
    """Of the broker at `url`, under keys of its own that it deletes; of an embedded one unless given."""
    settings = {"sizes_kb": list(plan.sizes_kb), "batches": list(plan.batches)}
    report = Report("bus", "What the broker costs a frame", command, settings | _rounds(plan))
    rows: list[dict[str, float]] = []
    ended = 0
    with _broker(plan, url) as (address, cores):
        for size in plan.sizes_kb:
            for batch in plan.batches:
                costs = _repeat(address, size, batch, plan, cores)
                ended += sum(cost.ended for cost in costs)
                rows.append({"KB": size, "batch": batch, **_us_a_frame(costs)})
    columns = list(rows[0])
    carried = [_carried(row) for row in rows]
    report.grids = [
        Grid("costs_us", "Microseconds a frame", columns, [list(row.values()) for row in rows], 0),
        Grid("carries", CARRIES, list(carried[0]), _cells(carried), 0),
    ]
    usual = next((row for row in rows if (row["KB"], row["batch"]) == USUAL), rows[-1])
    report.figures = _figures(usual)
    report.details = {"published": len(rows) * plan.repeat * plan.frames, "ended": ended}
    return report


def make_header(camera: str = "bench") -> FrameHeader:
    """Of a frame of 640 x 360 of a camera that is 1280 x 720; epoch and seq are the publisher's."""
    return FrameHeader(
        camera=camera,
        source="bench",
        epoch=0,
        seq=0,
        pts_us=0,
        captured_at_us=0,
        clock="file",
        width=640,
        height=360,
        source_width=1280,
        source_height=720,
        region=(0, 0, 1280, 720),
        held_us=0,
    )


def make_image(size_bytes: int) -> bytes:
    """Bytes that do not compress, where a picture would be."""
    return random.Random(SEED).randbytes(size_bytes)


def _rounds(plan: Plan) -> dict[str, object]:
    return {"frames": plan.frames, "repeat": plan.repeat}


@contextmanager
def _broker(plan: Plan, url: str | None) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Its address, and where client and server have a core each, which."""
    if url is not None:
        yield url, None
        return
    with EmbeddedBroker(SPARE_BYTES + plan.room_bytes) as broker, pinned() as cores:
        yield broker.url, cores


def _repeat(url: str, size_kb: int, batch: int, plan: Plan, cores: tuple[int, int] | None) -> list[Cost]:
    connection = Connection(url, prefix=f"bench{secrets.token_hex(4)}")
    try:
        if connection.is_cluster:
            raise UsageError(
                f"{connection.address} is a cluster: this measures one server; leave --redis out for one of "
                "its own, and see docs/scaling.md for what a cluster carries"
            )
        server = Server(connection)
        if cores:
            server.run_on(cores[1])
        _pass(connection, server, size_kb, batch, UNREAD)
        return [_pass(connection, server, size_kb, batch, plan.frames) for _ in range(plan.repeat)]
    finally:
        if not connection.is_cluster:
            clean(connection)
        connection.close()


def clean(connection: Connection) -> None:
    """Delete what a measurement left under its own prefix."""
    cursor: object = "0"
    while True:
        cursor, keys = connection.read("SCAN", cursor, "MATCH", f"{connection.keys.prefix}:*", "COUNT", 1000)
        for key in keys:
            connection.read("DEL", key)
        if int(str(cursor)) == 0:
            return


def _pass(connection: Connection, server: Server, size_kb: int, batch: int, frames: int) -> Cost:
    """Publish some, take and commit them, until all have ended."""
    epoch = Epoch.begin(connection, "bench", live=False, depth=UNREAD)
    assert isinstance(epoch, Epoch)
    taker = Taker(connection, "bench")
    taker.join()
    cost, image = Cost(frames), make_image(size_kb * KB)
    for start in range(0, frames, UNREAD):
        some = min(UNREAD, frames - start)
        began_cpu = time.thread_time()
        _publish(epoch, image, some, server, cost)
        _settle(taker, batch, some, server, cost)
        cost.client_cpu += time.thread_time() - began_cpu
    epoch.report(ended=True)
    taker.leave()
    return cost


def _publish(epoch: Epoch, image: bytes, count: int, server: Server, cost: Cost) -> None:
    before, began, header = server.cpu_seconds(), time.perf_counter(), make_header()
    for _ in range(count):
        epoch.totals.capture()
        epoch.publish(header, image)
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


def _carried(row: dict[str, float]) -> dict[str, float]:
    """What a core's time is enough for: computed from the cost, since clients here would slow it down."""
    frames = 1e6 / max(row["server cpu"], 1e-9)
    return {
        "KB": row["KB"],
        "batch": row["batch"],
        "one client, frames/s": 1e6 / max(row["all"], 1e-9),
        "whole core, frames/s": frames,
        f"cameras of {CAMERA_FPS} frames/s": int(frames * LOAD / CAMERA_FPS),
    }


def _cells(rows: Sequence[dict[str, float]]) -> list[list[float]]:
    return [list(row.values()) for row in rows]


def _figures(row: dict[str, float]) -> list[Figure]:
    of = f"{row['KB']} KB, batches of {row['batch']}"
    both = row["client cpu"] + row["server cpu"]
    ceiling = 1e6 / max(row["server cpu"], 1e-9)
    return [
        Figure("round_trips_us", f"publish, take and commit, {of}", row["all"], "µs/frame", 0),
        Figure("server_cpu_us", "server's processor time", row["server cpu"], "µs/frame", 0),
        Figure("client_cpu_us", "clients' processor time", row["client cpu"], "µs/frame", 0),
        Figure("cpu_us", "both", both, "µs/frame", 0),
        Figure("ceiling_fps", "frames one server core would carry", ceiling, "frames/s", 0),
    ]
