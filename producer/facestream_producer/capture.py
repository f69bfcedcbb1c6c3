"""The capture loop: every frame of a source is published, or dropped for a counted reason."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from facestream.backoff import Backoff
from facestream.bus.publisher import Epoch, Rewind, Totals
from facestream.bus.tap import TapWriter
from facestream.contract import FrameHeader, SourceDrop
from facestream.errors import BusFull, BusUnavailable, FacestreamError, SourceError
from facestream.zones import Zone
from facestream_producer.encoder import Encoded, Encoder
from facestream_producer.hooks import Hooks
from facestream_producer.source import Recorded, Skipping, Source, SourceFrame
from facestream_producer.turns import turns

HEARTBEAT_SECONDS = 1.0
FIRST_POLL_SECONDS = 0.001
MAX_POLL_SECONDS = 0.02
FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How frames are made: cut to the zone, scaled, encoded, and what the header asks of the worker.

    max_side: the whole picture's longer side at most, in pixels, whatever part of it is sent.
    """

    max_side: int
    quality: int
    max_age_ms: int | None
    attributes: tuple[str, ...] | None
    zone: Zone | None = None


class Capture:
    """Carries one source through one epoch. A live source drops what cannot be sent; any other waits."""

    def __init__(
        self, source: Source, epoch: Epoch, shape: Shape, hooks: Hooks, stop: threading.Event
    ) -> None:
        self._source, self._epoch, self._shape, self._hooks, self._stop = source, epoch, shape, hooks, stop
        crop = None if shape.zone is None else shape.zone.bounds
        self._encoder = Encoder(max_side=shape.max_side, quality=shape.quality, crop=crop)
        self._tap = TapWriter(epoch.connection, epoch.camera, hooks.recording)
        self._corrupt = 0
        self._skipped: Counter[SourceDrop] = Counter()
        self._heartbeat_at = 0.0

    def run(self) -> FacestreamError | None:
        """Publish until the source ends or somebody asks to stop, then end the epoch.

        Returns the error with which the source broke off, if it did; what came before it is published.
        """
        while True:
            try:
                broken = self._publish_all()
                self._finish()
            except Rewind as rewind:
                self._rewind(rewind.seq)
            else:
                return broken

    def _publish_all(self) -> SourceError | None:
        try:
            for frame in self._frames():
                if not self._publish_one(frame):
                    break
        except SourceError as error:
            return error
        return None

    def _publish_one(self, frame: SourceFrame) -> bool:
        """Bring one frame to the broker or to its drop; False when asked to stop."""
        held_since = time.monotonic()
        self._hooks.turned()
        self._count_corrupt()
        self._epoch.totals.capture()
        if self._stop.is_set():
            self._drop(SourceDrop.SHUTDOWN)
            return False
        encoded = self._encode(frame)
        if encoded is not None:
            self._send(frame, encoded, held_since)
        self._beat()
        return True

    def _finish(self) -> None:
        self._count_corrupt()
        if self._epoch.totals.in_hand:
            self._drop(SourceDrop.SHUTDOWN, self._epoch.totals.in_hand)
        self._patiently(lambda: self._epoch.report(ended=True), until_stopped=False)
        self._hooks.ended(self._epoch.totals)

    def _frames(self) -> Iterator[SourceFrame]:
        frames = self._source.frames()
        self._corrupt = 0
        return frames if self._source.live else self._unpublished(frames)

    def _unpublished(self, frames: Iterator[SourceFrame]) -> Iterator[SourceFrame]:
        """A file's frames from the first unpublished one; those before it are decoded and counted anew."""
        before = self._epoch.totals
        # A reason that no longer counts anything must be said too: the ledger keeps what it is not told.
        recount = Totals(dropped=dict.fromkeys(before.dropped, 0))
        published = 0
        while published < self._epoch.next_seq:
            frame = None if self._stop.is_set() else next(frames, None)
            if frame is None:
                return
            recount.capture()
            if before.dropped.get(SourceDrop.ENCODE_ERROR) and self._has_no_number(frame):
                recount.drop(SourceDrop.ENCODE_ERROR)
            else:
                recount.publish()
                published += 1
            self._beat()
        self._epoch.totals = recount
        yield from frames

    def _has_no_number(self, frame: SourceFrame) -> bool:
        """Whether this frame cannot be encoded, and so was never numbered."""
        try:
            self._encoder.encode(frame.picture)
        except FacestreamError:
            return True
        return False

    def _rewind(self, seq: int) -> None:
        """What the broker forgot is in our hands again until it is sent again."""
        totals = self._epoch.totals
        totals.in_hand = totals.captured - sum(totals.dropped.values()) - seq
        self._epoch.next_seq = seq
        self._hooks.rewound(seq)

    def _encode(self, frame: SourceFrame) -> Encoded | None:
        try:
            with turns():
                return self._encoder.encode(frame.picture)
        except FacestreamError as error:
            self._drop(SourceDrop.ENCODE_ERROR)
            self._hooks.troubled(error)
            return None

    def _send(self, frame: SourceFrame, encoded: Encoded, held_since: float) -> None:
        def publish() -> None:
            header = self._header(frame, encoded, held_since)
            self._epoch.publish(header, encoded.data)
            self._hooks.published(len(encoded.data))
            # By the number it was given: one that was sent before, unknown to us, may have had the first.
            self._tap.offer(replace(header, seq=self._epoch.next_seq - 1), encoded.data)

        if self._source.live:
            try:
                publish()
            except BusUnavailable as error:
                self._drop(SourceDrop.BROKER_DOWN)
                self._hooks.troubled(error)
            except BusFull as error:
                self._drop(SourceDrop.BROKER_FULL)
                self._hooks.troubled(error)
        elif self._patiently(publish):
            self._wait_for_room()
        else:
            self._drop(SourceDrop.SHUTDOWN)

    def _wait_for_room(self) -> None:
        pause = FIRST_POLL_SECONDS
        while self._epoch.room <= 0 and not self._stop.wait(pause):
            self._patiently(self._epoch.report)
            pause = min(pause * 2, MAX_POLL_SECONDS)

    def _patiently(self, action: Callable[[], None], *, until_stopped: bool = True) -> bool:
        """Repeat `action` while the broker is away or full; False when asked to stop meanwhile."""
        backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
        while True:
            self._hooks.turned()
            try:
                action()
            except (BusUnavailable, BusFull) as error:
                self._hooks.troubled(error)
                if self._stop.wait(backoff.next_seconds()):
                    if until_stopped:
                        return False
                    raise
            else:
                return True

    def _beat(self) -> None:
        if time.monotonic() < self._heartbeat_at:
            return
        if self._source.live:
            try:
                self._epoch.report()
            except (BusUnavailable, BusFull) as error:
                self._hooks.troubled(error)
        else:
            self._patiently(self._epoch.report)
        self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS

    def _drop(self, reason: SourceDrop, count: int = 1) -> None:
        self._epoch.totals.drop(reason, count)
        self._hooks.dropped(reason, count)

    def _count_corrupt(self) -> None:
        fresh = self._source.corrupt - self._corrupt
        for _ in range(fresh):
            self._epoch.totals.capture()
        if fresh:
            self._drop(SourceDrop.SOURCE_CORRUPT, fresh)
        self._corrupt = self._source.corrupt
        self._count_skipped()

    def _count_skipped(self) -> None:
        """What arrived of a camera and was not wanted: captured, and dropped for its reason."""
        if not isinstance(self._source, Skipping):
            return
        fresh = Counter(self._source.skipped) - self._skipped
        for reason, count in fresh.items():
            self._epoch.totals.captured += count
            self._epoch.totals.in_hand += count
            self._drop(reason, count)
        self._skipped += fresh

    def _header(self, frame: SourceFrame, encoded: Encoded, held_since: float) -> FrameHeader:
        header = FrameHeader(
            camera=self._epoch.camera,
            source=self._source.name[:500],
            epoch=self._epoch.epoch,
            seq=self._epoch.next_seq,
            pts_us=frame.pts_us,
            captured_at_us=frame.captured_at_us,
            clock=self._source.clock,
            width=encoded.width,
            height=encoded.height,
            source_width=encoded.source_width,
            source_height=encoded.source_height,
            region=encoded.region,
            held_us=int((time.monotonic() - held_since) * 1e6),
            max_age_ms=self._shape.max_age_ms if self._source.live else None,
            attributes=self._shape.attributes,
            zone=self._shape.zone,
        )
        return _asking_as_recorded(header, frame.picture) if isinstance(frame.picture, Recorded) else header


def _asking_as_recorded(header: FrameHeader, recorded: Recorded) -> FrameHeader:
    asked = recorded.header
    attributes = asked.attributes if header.attributes is None else header.attributes
    return replace(header, zone=asked.zone, attributes=attributes, codec=asked.codec)
