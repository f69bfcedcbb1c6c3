"""Of the packets of a stream, decodes those that are needed and gives the pictures that are wanted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from facestream.contract import SourceDrop
from facestream_producer.arrivals import Arrival, Arrivals
from facestream_producer.keyframes import Keyframes
from facestream_producer.motion import MotionGate
from facestream_producer.nonreference import Droppable
from facestream_producer.pacing import Pacer
from facestream_producer.packets import VideoPacket
from facestream_producer.presentation import Presentation
from facestream_producer.source import SourceFrame
from facestream_producer.turns import turns
from facestream_producer.upright import Uprighter

# Behind by this much, nothing is decoded until the next whole picture: what came late would come ever later.
LOST_SECONDS = 2.0
# Packets kept undecoded until a whole picture makes them needless; more are decoded.
_MOST_WAITING = 256


@dataclass(slots=True)
class Counts:
    """What became of packets received, beside those whose picture was given."""

    skipped: Counter[SourceDrop] = field(default_factory=Counter)
    corrupt: int = 0


class Selection:
    """One connection's decoder, and what decides which pictures come out of it.

    Every packet given to `take` is yielded as a frame, now or later, or counted in `counts`.
    captured_at: when the picture of a packet received at this wall clock time was taken, in µs.
    barren_since: since when, by the monotonic clock, what was decoded gave no picture at all.
    """

    def __init__(
        self,
        stream: VideoStream,
        presentation: Presentation,
        counts: Counts,
        captured_at: Callable[[VideoPacket | None, int], int],
        pacer: Pacer | None = None,
        motion: MotionGate | None = None,
    ) -> None:
        self._context = stream.codec_context
        self._presentation, self._counts, self._captured_at = presentation, counts, captured_at
        self._pacer, self._motion = pacer, motion
        self._intra = bool(self._context.codec.intra_only)
        self._droppable = Droppable(stream.codec_context)
        self._upright = Uprighter()
        self._arrivals = Arrivals()
        self._time_base = stream.time_base
        self._keys = Keyframes()
        self._waiting: list[tuple[VideoPacket, int, int]] = []
        self._gap = False
        self._lost = False
        self.decoded = 0
        self.barren_since: float | None = None

    def take(self, packet: VideoPacket, received_us: int, late_seconds: float = 0.0) -> Iterator[SourceFrame]:
        """The wanted frames that this packet completes. late_seconds: how far behind the stream we are."""
        at_us = self._presentation.guess(packet.pts, self._time_base, received_us)
        if packet.is_keyframe and not self._intra:
            self._keys.note(at_us)
            self._droppable.note(packet)
        reason = self._needless(packet, at_us, received_us, late_seconds)
        if reason is not None:
            self._counts.skipped[reason] += 1
            return
        if packet.is_keyframe:
            self._forget_waiting()
        elif at_us is not None and self._can_wait(at_us):
            self._waiting.append((packet, received_us, at_us))
            return
        else:
            yield from self._decode_waiting()
        if self._gap and packet.is_keyframe:
            # What was left out is no longer missed from here on.
            yield from self.finish()
            self._gap = False
        yield from self._decode(packet, received_us)
        if self._gap_follows():
            yield from self.finish()

    def finish(self, reason: SourceDrop | None = None) -> Iterator[SourceFrame]:
        """Empty the decoder; what was in it is given, or counted under `reason`."""
        self._forget_waiting()
        try:
            pictures = self._context.decode(None) if len(self._arrivals) else []
        except (FFmpegError, ValueError):
            pictures = []
        for picture in pictures:
            yield from self._give(picture, reason)
        self._counts.corrupt += self._arrivals.clear()
        self._context.flush_buffers()

    def _needless(
        self, packet: VideoPacket, at_us: int | None, received_us: int, late_seconds: float
    ) -> SourceDrop | None:
        """Why a packet need not be decoded; None when it must be."""
        if self._is_lost(packet, late_seconds):
            return SourceDrop.SOURCE_QUEUE_FULL
        pacer = self._pacer
        if pacer is None:
            return None
        if self._intra:
            wanted = pacer.wanted(self._presentation.place(packet.pts, self._time_base, received_us))
            return None if wanted else SourceDrop.FPS_LIMIT
        if at_us is None:
            return None
        early = pacer.early(at_us)
        if self._keys.suffice(pacer.interval_us) and (early or not packet.is_keyframe):
            self._gap = True
            return SourceDrop.FPS_LIMIT
        if early and not self._arrivals.shuffled and self._droppable(packet):
            return SourceDrop.FPS_LIMIT
        return None

    def _can_wait(self, at_us: int) -> bool:
        """Whether the stream is likely to begin anew before a picture is wanted that needs this one.

        It waits undecoded: should no whole picture come in time, it is decoded late, and nothing is lost.
        """
        if self._pacer is None or self._intra or self._context.has_b_frames:
            return False
        next_us = self._keys.next_us
        if next_us is None or at_us >= next_us or len(self._waiting) >= _MOST_WAITING:
            return False
        return self._pacer.early(at_us) and self._pacer.none_before(next_us)

    def _decode_waiting(self) -> Iterator[SourceFrame]:
        waiting, self._waiting = self._waiting, []
        for packet, received_us, _ in waiting:
            yield from self._decode(packet, received_us)

    def _forget_waiting(self) -> None:
        for _, _, at_us in self._waiting:
            self._counts.skipped[SourceDrop.FPS_LIMIT] += 1
            self._gap = True
            if self._pacer is not None:
                self._pacer.passed(at_us)
        self._waiting.clear()

    def _gap_follows(self) -> bool:
        """Whether the next packets are left out, so that a decoder that waits for them would wait in vain."""
        return self._pacer is not None and not self._intra and self._keys.suffice(self._pacer.interval_us)

    def _is_lost(self, packet: VideoPacket, late_seconds: float) -> bool:
        if late_seconds > LOST_SECONDS:
            self._lost = self._gap = True
        elif packet.is_keyframe:
            self._lost = False
        return self._lost

    def _decode(self, packet: VideoPacket, received_us: int) -> Iterator[SourceFrame]:
        if not packet.is_discard:
            placed = self._presentation.last_us if self._intra and self._pacer else None
            self._arrivals.add(Arrival(packet, packet.pts, received_us, placed))
        try:
            with turns():
                pictures = packet.decode()
        except FFmpegError:
            pictures = []
            if not packet.is_discard:
                self._arrivals.drop_last()
                self._counts.corrupt += 1
        if pictures:
            self.barren_since = None
        elif self.barren_since is None:
            self.barren_since = time.monotonic()
        for picture in pictures:
            yield from self._give(picture)
        self._counts.corrupt += self._arrivals.overdue()

    def _give(self, picture: av.VideoFrame, reason: SourceDrop | None = None) -> Iterator[SourceFrame]:
        self.decoded += 1
        came = self._arrivals.take(picture.pts, reorders=bool(self._context.has_b_frames))
        placed = came.placed_us
        if placed is None:
            at_us = self._presentation.place(came.pts, self._time_base, came.received_us)
        else:
            at_us = placed
        reason = reason or self._unwanted(picture, at_us, placed is not None)
        if reason is None:
            yield from self._upright_and_moved(picture, at_us, came)
        elif reason is SourceDrop.SOURCE_CORRUPT:
            self._counts.corrupt += 1
        else:
            self._counts.skipped[reason] += 1

    def _upright_and_moved(self, picture: av.VideoFrame, at_us: int, came: Arrival) -> Iterator[SourceFrame]:
        try:
            upright = self._upright(picture)
        except FFmpegError:
            self._counts.corrupt += 1
            return
        # Turned first: a zone is one of the picture as people see it.
        if self._motion is not None and not self._motion.passes(upright, at_us):
            self._counts.skipped[SourceDrop.MOTION_GATE] += 1
            return
        yield SourceFrame(upright, at_us, self._captured_at(came.packet, came.received_us))

    def _unwanted(self, picture: av.VideoFrame, at_us: int, paced: bool) -> SourceDrop | None:
        if picture.is_corrupt:
            return SourceDrop.SOURCE_CORRUPT
        if self._pacer is not None and not paced and not self._pacer.wanted(at_us):
            return SourceDrop.FPS_LIMIT
        return None
