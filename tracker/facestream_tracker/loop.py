"""The tracker's loop: take partitions, read their results, publish what became of them, keep it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from facestream.backoff import Backoff
from facestream.bus.following import PAGE, Following
from facestream.bus.overview import Observer
from facestream.bus.tracker_state import Holding, TrackerState
from facestream.contract import pack_audience, pack_track
from facestream.errors import BusFull, BusUnavailable
from facestream_tracker.hooks import Hooks, tell
from facestream_tracker.partition import Lines, Partition

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 2.0
HOUSE_SECONDS: Final = 1.0
"""How often leases are renewed, and what is known is published and kept, unless that takes long."""
SETTLE_SHARE, MOST_SECONDS = 0.05, 5.0
"""Publishing and keeping may take this share of the time, and then comes this late at most: with a thousand
cameras a second's changes are megabytes."""
MAX_PENDING: Final = 5_000
"""Results after which that is done early: so many are read again at most after a sudden end."""
_CALM_SECONDS: Final = 0.25
# Results come one by one: waiting for some more costs them a moment, and saves a round trip for each.
_FEW, _GATHER_SECONDS = 64, 0.05

ReadLines = Callable[[], Lines]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of this tracker. least_group: figures of fewer people are withheld. with_tracks: publish
    tracks, and not the audience figures alone.
    """

    least_group: int = 1
    with_tracks: bool = True


class Loop:
    """Holds its share of the partitions. Every result is taken once, whatever ends, and when.

    What became of results is published first, then kept together with the position in the results. Who goes
    on after a sudden end reads again what was taken since, comes to the same, and publishes the same under
    the same keys: nothing is lost, and readers who tell events apart by their keys count nothing twice.
    """

    def __init__(
        self,
        connection: Observer,
        state: TrackerState,
        read_lines: ReadLines,
        wish: Wish,
        hooks: Sequence[Hooks],
    ) -> None:
        self._connection, self._state, self._read_lines = connection, state, read_lines
        self._results = Following(connection)
        self._wish, self._hooks = wish, hooks
        self._held: dict[int, Partition] = {}
        self._calm: set[int] = set()
        self._lines: Lines = {}
        self._incarnation = ""

    def run(self, stop: threading.Event) -> None:
        """Until asked to stop; a broker that goes away is waited for."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
        while not stop.is_set():
            tell(self._hooks, "turned")
            try:
                self._begin()
                backoff.reset()
                self._serve(stop)
                self._leave()
            except (BusUnavailable, BusFull) as error:
                # What is in memory may be ahead of what was kept: it is made again from that.
                self._held = {}
                tell(self._hooks, "bus_lost", error)
                stop.wait(backoff.next_seconds())

    def _begin(self) -> None:
        self._connection.lost_its_data()
        self._incarnation, self._lines = self._connection.incarnation, self._read_lines()
        self._share(anew=True)
        tell(self._hooks, "began", self._connection.keys.partitions)

    def _serve(self, stop: threading.Event) -> None:
        house_at = time.monotonic() + HOUSE_SECONDS
        while not stop.is_set():
            tell(self._hooks, "turned")
            if self._take(max(0.01, min(_CALM_SECONDS, house_at - time.monotonic()))) < _FEW:
                stop.wait(_GATHER_SECONDS)
            for partition in list(self._held.values()):
                if partition.pending >= MAX_PENDING:
                    self._settle(partition)
            if time.monotonic() >= house_at:
                house_at = time.monotonic() + HOUSE_SECONDS
                self._keep_house()

    def _keep_house(self) -> None:
        """Once a second: what silence means, what is new in the registry, and whose the partitions are."""
        if self._connection.lost_its_data():
            for partition in self._held.values():
                partition.position = "0-0"
        self._incarnation = self._connection.incarnation
        self._use_lines()
        self._pass_time()
        for partition in list(self._held.values()):
            if time.monotonic() >= partition.settle_at:
                self._settle(partition)
            elif self._state.claim(partition.number) is not True:
                self._lose(partition, given=False)
        self._share()
        tell(self._hooks, "looked", list(self._held.values()))

    def _pass_time(self) -> None:
        """What silence means. The clock is read first: what came while we were held up is no silence."""
        clocks = {number: self._results.now_ms(number) for number in self._calm & self._held.keys()}
        if clocks:
            self._take(0.0)
        for number in clocks.keys() & self._calm:
            self._held[number].pass_time(clocks[number])

    def _take(self, wait_seconds: float) -> int:
        """Take what there is, or the first that comes; how many results that were."""
        positions = {number: partition.position for number, partition in self._held.items()}
        heard = self._results.read(positions, wait_seconds)
        counts = dict.fromkeys(positions, 0)
        for each in heard:
            self._held[each.partition].take(each)
            counts[each.partition] += 1
        self._calm = {number for number, count in counts.items() if count < PAGE}
        return len(heard)

    def _settle(self, partition: Partition, *, leaving: bool = False) -> None:
        """Publish, then keep, in this order; the partition is lost when another has its lease."""
        began = time.perf_counter()
        if partition.missed:
            tell(self._hooks, "missed", partition, partition.missed)
        said = partition.take_said()
        tracks = [pack_track(track) for track in said.tracks] if self._wish.with_tracks else []
        if tracks or said.minutes:
            self._results.announce(partition.number, tracks, [pack_audience(each) for each in said.minutes])
        is_kept = self._state.save(
            partition.number, partition.position, self._incarnation, partition.snapshots(), leaving=leaving
        )
        partition.saved()
        if not is_kept or leaving:
            self._lose(partition, given=is_kept)
        lasted = time.perf_counter() - began
        partition.settle_at = time.monotonic() + min(MOST_SECONDS, lasted / SETTLE_SHARE)
        tell(self._hooks, "settled", partition, said, lasted)
        partition.unreadable = partition.missed = 0

    def _lose(self, partition: Partition, *, given: bool) -> None:
        del self._held[partition.number]
        tell(self._hooks, "lost", partition, given=given)

    def _share(self, *, anew: bool = False) -> None:
        """An equal part for every tracker: one too many is given away, what is free is taken."""
        alive, whole = len(self._state.beat()), self._connection.keys.partitions
        part = math.ceil(whole / alive)
        if len(self._held) > part:
            self._settle(next(reversed(self._held.values())), leaving=True)
        for number in range(whole):
            if number in self._held or len(self._held) >= part:
                continue
            holding = self._state.claim(number, anew=anew)
            if holding is True:  # ours, but not in memory: it was lost in between
                holding = self._state.claim(number, anew=True)
            if isinstance(holding, Holding):
                self._open(number, holding)

    def _open(self, number: int, holding: Holding) -> None:
        partition = Partition.restore(number, self._wish.least_group, self._lines, holding, self._incarnation)
        self._held[number] = partition
        tell(self._hooks, "took_over", partition)

    def _use_lines(self) -> None:
        lines = self._read_lines()
        if lines is not self._lines:
            self._lines = lines
            for partition in self._held.values():
                partition.use(lines)

    def _leave(self) -> None:
        for partition in list(self._held.values()):
            self._settle(partition, leaving=True)
        self._state.leave()
