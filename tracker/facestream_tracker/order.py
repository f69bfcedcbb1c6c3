"""Frames of one epoch in their order again: bounded in time, number and size, and data that can be kept."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import Any, Final, Self

from facestream_tracker.observation import Frame, Seen
from facestream_tracker.track import SECOND_US

WINDOW_US: Final = SECOND_US
"""A frame whose turn it is is waited for until others are this much newer than the first that waits."""
MAX_WAITING: Final = 64
_MAX_WAITING_FACES: Final = 4096
# Frames that were given up and may still come: runs of numbers, the newest last.
_MAX_GAPS: Final = 256


@dataclass(slots=True)
class Order:
    """One epoch's frames by `seq`. next: whose turn it is. waiting: what came before its turn.

    gaps: first and last `seq` of runs that were given up. Memory is bounded: with too many frames or faces
    waiting, the gap is given up at once.
    """

    next: int = 0
    waiting: dict[int, Frame] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def add(self, frame: Frame) -> tuple[list[Frame], bool]:
        """The frames whose turn has come, and whether this one came too late for its own.

        A frame that came before is neither.
        """
        if frame.seq < self.next:
            return [], self._fill(frame.seq)
        if frame.seq == self.next and not self.waiting:
            self.next += 1
            return [frame], False
        self.waiting.setdefault(frame.seq, frame)
        return self._release(), False

    def flush(self) -> list[Frame]:
        """All that waits, in order: nothing is waited for any longer."""
        ready = []
        while self.waiting:
            ready += self._pop(min(self.waiting))
        return ready

    def _release(self) -> list[Frame]:
        ready: list[Frame] = []
        while self.waiting:
            if self.next in self.waiting:
                ready += self._pop(self.next)
            elif self._is_given_up():
                ready += self._pop(min(self.waiting))
            else:
                break
        return ready

    def _is_given_up(self) -> bool:
        times = [frame.at_us for frame in self.waiting.values()]
        if max(times) - min(times) >= WINDOW_US or len(times) > MAX_WAITING:
            return True
        return sum(len(frame.faces) for frame in self.waiting.values()) > _MAX_WAITING_FACES

    def _pop(self, seq: int) -> list[Frame]:
        if seq > self.next:
            self.gaps = [*self.gaps[1 - _MAX_GAPS :], (self.next, seq - 1)]
        self.next = seq + 1
        return [self.waiting.pop(seq)]

    def _fill(self, seq: int) -> bool:
        """Whether it was given up; from now on it was there."""
        for number, (first, last) in enumerate(self.gaps):
            if first <= seq <= last:
                rest = [run for run in ((first, seq - 1), (seq + 1, last)) if run[0] <= run[1]]
                self.gaps = [*self.gaps[:number], *rest, *self.gaps[number + 1 :]][-_MAX_GAPS:]
                return True
        return False

    def pack(self) -> list[Any]:
        return [self.next, [pack_frame(self.waiting[seq]) for seq in sorted(self.waiting)], self.gaps]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Self:
        following, waiting, gaps = packed
        frames = [unpack_frame(frame) for frame in waiting]
        return cls(following, {frame.seq: frame for frame in frames}, [(run[0], run[1]) for run in gaps])


def pack_frame(frame: Frame) -> list[Any]:
    faces = [astuple(seen) for seen in frame.faces]
    return [frame.epoch, frame.seq, frame.at_us, frame.width, frame.height, faces]


def unpack_frame(packed: list[Any]) -> Frame:
    epoch, seq, at_us, width, height, faces = packed
    return Frame(epoch, seq, at_us, width, height, [Seen(*seen) for seen in faces])
