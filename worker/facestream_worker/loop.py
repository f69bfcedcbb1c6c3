"""The frame loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from facestream.backoff import Backoff
from facestream.bus.taker import Taker
from facestream.errors import BusFull, BusUnavailable
from facestream_worker.hooks import Hooks, tell
from facestream_worker.pipeline import Pipeline

# Short, since nobody adopts what the dead held before the first worker is back.
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 0.5
SWEEP_SECONDS = 1.0
MIN_WAIT_SECONDS = 0.01


def run(
    bus: Taker, pipeline: Pipeline, hooks: Sequence[Hooks], stop: threading.Event, *, batch_size: int
) -> None:
    """Take frames, find and classify faces, publish results, until asked to stop.

    Every frame taken ends exactly once: completed, or refused with a reason. If this process dies first,
    the frame stays in its hands until a peer adopts it.
    """
    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
    while not stop.is_set():
        tell(hooks, "turned")
        try:
            tell(hooks, "joined", bus.join())
            backoff.reset()
            serve(bus, pipeline, hooks, stop, batch_size)
            bus.leave()
        except (BusUnavailable, BusFull) as error:
            tell(hooks, "bus_lost", error)
            stop.wait(backoff.next_seconds())


def serve(
    bus: Taker, pipeline: Pipeline, hooks: Sequence[Hooks], stop: threading.Event, batch_size: int
) -> None:
    """Batch after batch, and the housekeeping in between."""
    sweep_at = time.monotonic()
    while not stop.is_set():
        tell(hooks, "turned")
        # Nobody waits past the next look at the others: what a dead one held is to be free within 5 s.
        wait_seconds = max(MIN_WAIT_SECONDS, sweep_at - time.monotonic())
        settle(bus, pipeline, hooks, batch_size, wait_seconds)
        if time.monotonic() >= sweep_at:
            keep_house(bus, hooks)
            sweep_at = time.monotonic() + min(SWEEP_SECONDS, bus.next_lapse_seconds)


def keep_house(bus: Taker, hooks: Sequence[Hooks]) -> None:
    """Adopt what the dead held; notice a broker that was emptied though the line to it never broke."""
    if bus.broker_forgot():
        tell(hooks, "joined", True)
    adopted = bus.sweep()
    if adopted:
        tell(hooks, "adopted", adopted)


def settle(
    bus: Taker, pipeline: Pipeline, hooks: Sequence[Hooks], batch_size: int, wait_seconds: float
) -> None:
    """Take a batch and bring every frame of it to its one end."""
    began = time.perf_counter()
    batch = bus.take(batch_size, wait_seconds)
    if not batch:
        return
    tell(hooks, "taken", batch, time.perf_counter() - began)
    settled = pipeline.settle(batch)
    began = time.perf_counter()
    ended = bus.commit(settled.outcomes)
    tell(hooks, "settled", settled, time.perf_counter() - began, ended)
