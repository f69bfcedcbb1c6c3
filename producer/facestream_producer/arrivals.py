"""What is in a decoder: which packet a picture came in, and which packets gave none."""

from __future__ import annotations

from typing import NamedTuple

from facestream_producer.packets import VideoPacket
from facestream_producer.source import now_us

# A decoder holds back 16 pictures at most.
_MOST_HELD = 20


class Arrival(NamedTuple):
    """A packet in the decoder. packet: None for a picture that came in none of its own.

    pts: when its picture is shown, in the stream's own ticks. placed_us: its place, when that is known.
    """

    packet: VideoPacket | None
    pts: int | None
    received_us: int
    placed_us: int | None = None


class Arrivals:
    """Packets in the order in which they went into a decoder.

    shuffled: their times are not to be relied on one by one, only all together.
    """

    def __init__(self) -> None:
        self._held: list[Arrival] = []
        self._last_pts: int | None = None
        self.shuffled = False

    def __len__(self) -> int:
        return len(self._held)

    def add(self, arrival: Arrival) -> None:
        self._held.append(arrival)

    def drop_last(self) -> None:
        self._held.pop()

    def take(self, pts: int | None, *, reorders: bool) -> Arrival:
        """The packet of the picture that comes out now, labelled `pts`.

        FFmpeg labels pictures from RTSP with the time of the packet before, which is of no importance until
        a stream reorders its pictures: then labels go back and forth. The pictures themselves are in order,
        so from there on each is given the least time that is there.
        """
        held = self._held
        if not held:
            return Arrival(None, pts, now_us())
        matching = [index for index, each in enumerate(held) if each.pts == pts]
        if reorders and matching and pts is not None and self._last_pts is not None and pts < self._last_pts:
            self.shuffled = True
        self._last_pts = pts
        if self.shuffled:
            return held.pop(min(range(len(held)), key=lambda index: _shown(held[index])))
        return held.pop(matching[0] if matching else 0)

    def overdue(self) -> int:
        """How many packets gave no picture and never will; they are forgotten."""
        count = max(0, len(self._held) - _MOST_HELD)
        del self._held[:count]
        return count

    def clear(self) -> int:
        """Forget all; how many there were."""
        count = len(self._held)
        self._held.clear()
        return count


def _shown(arrival: Arrival) -> float:
    return float("-inf") if arrival.pts is None else arrival.pts
