"""To the broker and back while the loop computes: no more in hand, nothing lost, nobody drawn in."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.taker import Delivery, Taker
from facestream_worker.hooks import Hooks
from facestream_worker.loop import serve
from facestream_worker.pipeline import Settled
from support.bus import begin, publish
from support.plain import PlainPipeline

CAMERA = "cam"


class Watching(Hooks):
    """Stops the loop at so many results, and remembers what was in hand at the broker while computing."""

    def __init__(self, wanted: int, stop: threading.Event) -> None:
        self.wanted, self.stop = wanted, stop
        self.parts: list[int] = []
        self.ended = 0

    def taken(self, batch: Sequence[Delivery], seconds: float) -> None:
        self.parts.append(len(batch))

    def settled(self, settled: Settled, commit_seconds: float, ended: int) -> None:
        self.ended += ended
        if self.ended >= self.wanted:
            self.stop.set()


class CountingPipeline(PlainPipeline):
    """While it computes, reads how many frames the broker believes to be in this worker's hands."""

    def __init__(self, connection: Connection, worker: str) -> None:
        super().__init__(worker)
        self._connection, self._key = connection, connection.keys.held(0, worker)
        self.held: list[int] = []

    def settle(self, batch: Sequence[Delivery]) -> Settled:
        self.held.append(self._connection.read("HLEN", self._key))
        return super().settle(batch)


def fill(connection: Connection, frames: int, camera: str = CAMERA) -> None:
    epoch = begin(connection, camera, live=False, depth=frames)
    for _ in range(frames):
        publish(epoch)


def test_a_line_of_frames_is_settled_and_no_more_than_a_batch_is_in_hand(connection: Connection) -> None:
    fill(connection, 40)
    bus, stop = Taker(connection, "w"), threading.Event()
    pipeline, watching = CountingPipeline(connection, "w"), Watching(40, stop)
    bus.join()

    serve(bus, pipeline, [watching], stop, 8)

    ledger = read_ledger(connection, CAMERA)
    assert (ledger.results, ledger.in_flight, ledger.closes) == (40, 0, True)
    assert watching.parts == [4] * 10
    assert max(pipeline.held) <= 8
    bus.leave()


def test_a_batch_of_one_never_has_a_second_frame_in_hand(connection: Connection) -> None:
    fill(connection, 5)
    bus, stop = Taker(connection, "w"), threading.Event()
    pipeline, watching = CountingPipeline(connection, "w"), Watching(5, stop)
    bus.join()

    serve(bus, pipeline, [watching], stop, 1)

    assert pipeline.held == [1] * 5
    bus.leave()


def test_what_is_in_hand_does_not_come_again_and_what_was_lost_does(connection: Connection) -> None:
    fill(connection, 6)
    bus = Taker(connection, "w")
    first = bus.take(2, 0)
    lost = bus.take(2, 0, holding=first)  # as if this reply had never come

    again = bus.take(2, 0, holding=first)

    assert {each.entry for each in again} == {each.entry for each in lost}
    assert {each.entry for each in first}.isdisjoint(each.entry for each in again)
    assert connection.read("HLEN", connection.keys.held(0, "w")) == 4
    bus.leave()


def test_a_frame_that_was_tried_before_is_alone_in_hand(connection: Connection) -> None:
    """What was computed before it has ended, and nothing is fetched beside it."""
    fill(connection, 1, "killer")
    dead = Taker(connection, "dead")
    assert len(dead.take(1, 1)) == 1
    dead.leave()
    fill(connection, 12)
    bus, stop = Taker(connection, "w"), threading.Event()
    tried: list[int] = []

    class Pipeline(CountingPipeline):
        def settle(self, batch: Sequence[Delivery]) -> Settled:
            settled = super().settle(batch)
            if any(each.camera == b"killer" for each in batch):
                tried.append(self.held[-1])
            return settled

    bus.join()
    serve(bus, Pipeline(connection, "w"), [Watching(13, stop)], stop, 8)

    assert tried == [1]
    bus.leave()


def test_what_was_fetched_and_not_computed_goes_back_when_we_stop(connection: Connection) -> None:
    fill(connection, 40)
    bus, stop = Taker(connection, "w"), threading.Event()
    bus.join()

    serve(bus, PlainPipeline("w"), [Watching(4, stop)], stop, 8)
    handed_back = bus.leave()

    ledger = read_ledger(connection, CAMERA)
    assert ledger.results + ledger.in_flight == 40
    assert handed_back <= 8
    other = Taker(connection, "other")
    other.join()
    left = ledger.in_flight
    assert left > 0
    again = other.take(8, 1)
    assert again
    assert all(each.attempts <= 2 for each in again)
    other.leave()


@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_few_frames_are_not_waited_for(connection: Connection, batch_size: int) -> None:
    fill(connection, 1)
    bus, stop = Taker(connection, "w"), threading.Event()
    bus.join()

    serve(bus, PlainPipeline("w"), [Watching(1, stop)], stop, batch_size)

    assert read_ledger(connection, CAMERA).results == 1
    bus.leave()
