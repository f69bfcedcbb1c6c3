"""What a tracker says in words: a line when something changes, never one per result."""

from __future__ import annotations

from typing import TextIO

from facestream.errors import BusError
from facestream.log import Say
from facestream_tracker.hooks import Hooks
from facestream_tracker.partition import Partition


class SignOfLife(Hooks):
    """Tells the process that started this one, on its standard output, that it has begun to work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def began(self, partitions: int) -> None:
        print("ready", file=self._stream, flush=True)


class Notices(Hooks):
    """One line per change."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._is_lost, self._has_greeted = False, False

    def began(self, partitions: int) -> None:
        if self._is_lost:
            self._say("the broker is back", event="joined")
        elif not self._has_greeted:
            which = f"{partitions} partition{'s' if partitions > 1 else ''}"
            self._say(f"ready for results of {which}", event="joined")
        self._is_lost, self._has_greeted = False, True

    def took_over(self, partition: Partition) -> None:
        if partition.cameras:
            cameras = f"{len(partition.cameras)} cameras known"
            self._say(f"goes on with partition {partition.number}: {cameras}", event="took_over")
        if partition.unread_snapshots:
            self._say(
                f"{partition.unread_snapshots} cameras of partition {partition.number} begin anew: what was "
                "kept of them is of another release",
                event="forgotten",
                level="warning",
            )

    def lost(self, partition: Partition, *, given: bool) -> None:
        if not given:
            self._say(
                f"another tracker took partition {partition.number}: this one was silent for too long",
                event="lost",
                level="warning",
            )

    def missed(self, partition: Partition, results: int) -> None:
        self._say(
            f"{results} results of partition {partition.number} were removed before they were read",
            event="missed",
            level="warning",
            count=results,
        )

    def bus_lost(self, error: BusError) -> None:
        if not self._is_lost:
            self._say(f"{error}; waiting for it", event="broker_lost", level="warning", reason=str(error))
        self._is_lost = True
