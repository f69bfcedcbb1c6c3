"""The cameras of one partition, and how far their results were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from facestream.bus.following import Heard
from facestream.bus.tracker_state import BEGINNING, Holding
from facestream.lines import Line
from facestream_tracker.camera import Camera, Said

MAX_CAMERAS: Final = 2_000
"""Of one partition; with more, the one that was silent longest is forgotten."""
FORGOTTEN_MS: Final = 24 * 3_600_000
"""A camera without a result for so long is forgotten, and its sums begin anew."""

Lines = Mapping[str, tuple[Line, ...]]


@dataclass(slots=True)
class Partition:
    """position: the last result taken. changed: cameras that differ from their snapshots.
    last_words: what forgotten cameras had to say. pending: results
    since the last snapshot. settle_at: when the next is due, by the monotonic clock. unreadable, missed:
    entries that were not of the contract, and results that were removed before they were read, of late.
    """

    number: int
    least_group: int = 1
    lines: Lines = field(default_factory=dict)
    position: str = BEGINNING
    cameras: dict[str, Camera] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    last_words: list[Said] = field(default_factory=list)
    pending: int = 0
    settle_at: float = 0.0
    unreadable: int = 0
    missed: int = 0
    unread_snapshots: int = 0

    @classmethod
    def restore(
        cls, number: int, least_group: int, lines: Lines, holding: Holding, incarnation: str
    ) -> Partition:
        """What was kept. Of a broker that began anew since, the results are read from their beginning."""
        position = holding.position if holding.incarnation == incarnation else BEGINNING
        partition = cls(number, least_group, lines, position)
        for name, packed in holding.snapshots.items():
            camera = Camera.unpack(name, least_group, lines.get(name, ()), packed)
            if camera is None:
                partition.unread_snapshots += 1
            else:
                partition.cameras[name] = camera
        return partition

    def take(self, heard: Heard) -> None:
        self.missed += heard.missed_after(self.position)
        self.position, self.pending = heard.entry, self.pending + 1
        if heard.result is None:
            self.unreadable += 1
            return
        name = heard.result["camera"]
        camera = self.cameras.get(name) or self._begin(name)
        camera.take(heard.result, heard.at_ms)
        self.changed.add(name)

    def pass_time(self, clock_ms: int) -> None:
        """All results there are were taken, and it is this late by the broker's clock."""
        for name, camera in list(self.cameras.items()):
            camera.pass_time(clock_ms)
            if camera.said:
                self.changed.add(name)
            if clock_ms - camera.heard_ms > FORGOTTEN_MS:
                self._forget(name)

    def use(self, lines: Lines) -> None:
        self.lines = lines
        for name, camera in self.cameras.items():
            camera.lines = lines.get(name, ())

    def take_said(self) -> Said:
        """What all cameras have to say since this was last asked."""
        whole = Said()
        heard = [self.cameras[name].take_said() for name in sorted(self.changed & self.cameras.keys())]
        for said in [*self.last_words, *heard]:
            whole.tracks += said.tracks
            whole.minutes += said.minutes
        self.last_words = []
        return whole

    def snapshots(self) -> dict[str, bytes]:
        """Of every camera that has changed; empty for one that is forgotten."""
        return {
            name: self.cameras[name].pack() if name in self.cameras else b"" for name in sorted(self.changed)
        }

    def saved(self) -> None:
        self.changed, self.pending = set(), 0

    def _begin(self, name: str) -> Camera:
        if len(self.cameras) >= MAX_CAMERAS:
            self._forget(min(self.cameras, key=lambda each: self.cameras[each].heard_ms))
        camera = self.cameras[name] = Camera(name, self.least_group, self.lines.get(name, ()))
        return camera

    def _forget(self, name: str) -> None:
        camera = self.cameras.pop(name)
        camera.finish()
        self.last_words.append(camera.take_said())
        self.changed.add(name)
