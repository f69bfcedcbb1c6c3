"""Results of each camera by `seq`, within a bounded window and for a bounded time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from facestream.results.result import Result

MAX_CAMERAS = 4096


class Lane:
    """One camera's results that wait for an earlier one. since: when the first of them began to wait."""

    __slots__ = ("epoch", "next_seq", "since", "waiting")

    def __init__(self, epoch: int) -> None:
        self.epoch, self.next_seq = epoch, 0
        self.waiting: list[tuple[int, Result]] = []
        self.since = 0.0

    def pop(self) -> Result:
        seq, result = heapq.heappop(self.waiting)
        self.next_seq = seq + 1
        return result

    def has_turn(self) -> bool:
        return bool(self.waiting) and self.waiting[0][0] <= self.next_seq

    def flush(self) -> Iterator[Result]:
        while self.waiting:
            yield self.pop()


class Reorder:
    """Holds a result back until those before it came, `window` others wait, or `seconds` have passed.

    A frame that ended as a drop leaves a gap that nothing fills. What comes later still is given at once,
    out of its turn. No result may be added twice.
    """

    def __init__(self, window: int, seconds: float) -> None:
        self._window, self._seconds = window, seconds
        self._lanes: dict[str, Lane] = {}

    def add(self, result: Result, now: float) -> Iterator[Result]:
        """Take one in; those whose turn has come."""
        lane = self._lanes.get(result.camera)
        if lane is None or lane.epoch < result.epoch:
            yield from self._begin(result)
            lane = self._lanes[result.camera]
        if result.epoch < lane.epoch or result.seq < lane.next_seq:
            yield result
            return
        if not lane.waiting:
            lane.since = now
        heapq.heappush(lane.waiting, (result.seq, result))
        while lane.has_turn() or len(lane.waiting) > self._window:
            lane.since = now
            yield lane.pop()

    def expire(self, now: float) -> Iterator[Result]:
        """Those that have waited long enough, and what follows them without a gap."""
        for lane in self._lanes.values():
            if lane.waiting and now - lane.since >= self._seconds:
                yield lane.pop()
                while lane.has_turn():
                    yield lane.pop()
                lane.since = now

    def due_at(self) -> float | None:
        """When `expire` will have something to give, unless something comes before."""
        begun = [lane.since for lane in self._lanes.values() if lane.waiting]
        return min(begun) + self._seconds if begun else None

    def flush(self) -> Iterator[Result]:
        """All that still waits: nothing more will come."""
        for lane in self._lanes.values():
            yield from lane.flush()

    def _begin(self, result: Result) -> Iterator[Result]:
        """A new epoch of a camera, or a new camera: what waits of the old one comes before it."""
        old = self._lanes.pop(result.camera, None)
        if old is None and len(self._lanes) >= MAX_CAMERAS:
            old = self._lanes.pop(next(iter(self._lanes)))
        if old is not None:
            yield from old.flush()
        self._lanes[result.camera] = Lane(result.epoch)
