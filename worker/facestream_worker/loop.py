"""The frame loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from facestream.backoff import Backoff
from facestream.bus.taker import Taker
from facestream.errors import BusFull, BusUnavailable
from facestream_worker.hooks import Hooks, tell
from facestream_worker.line import Line
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
    with Line(bus, batch_size) as line:
        while not stop.is_set():
            tell(hooks, "turned")
            # Nobody waits past the next look at the others: what a dead one held is to be free within 5 s.
            settle(line, pipeline, hooks, stop, max(time.monotonic() + MIN_WAIT_SECONDS, sweep_at))
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
    line: Line, pipeline: Pipeline, hooks: Sequence[Hooks], stop: threading.Event, until: float
) -> None:
    """Take frames and bring each to its one end, until none wait or it is time for the house.

    While one part is computed, the outcomes of the part before go out and the next part comes in. What came
    and is not computed when we stop is handed back by leaving.
    """
    began, done = time.perf_counter(), None
    part = line.take(max(0.0, until - time.monotonic()))
    waited = time.perf_counter() - began
    while part and not stop.is_set():
        tell(hooks, "taken", part, waited)
        on_its_way = line.send(done.outcomes if done else [], part, may_fetch=time.monotonic() < until)
        settled = pipeline.settle(part)
        began = time.perf_counter()
        errand = on_its_way.result()
        tell(hooks, "stood_still", time.perf_counter() - began)
        if done:
            tell(hooks, "settled", done, errand.commit_seconds, errand.ended)
        done, part, waited = settled, errand.brought, errand.take_seconds
    if done:
        began = time.perf_counter()
        errand = line.send(done.outcomes, [], may_fetch=False).result()
        tell(hooks, "stood_still", time.perf_counter() - began)
        tell(hooks, "settled", done, errand.commit_seconds, errand.ended)
