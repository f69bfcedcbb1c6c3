"""A camera on the network, attached for as long as anybody wants it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from av.codec.hwaccel import HWAccel

from facestream.address_policy import AddressPolicy
from facestream.backoff import Backoff
from facestream.camera_state import CameraState, State
from facestream.contract import SourceDrop
from facestream.errors import SourceError
from facestream_producer.camera_errors import (
    Address,
    CameraNotFound,
    CameraStalled,
    CameraUnauthorized,
)
from facestream_producer.connecting import OPEN_SECONDS, Connection, Transport, connect
from facestream_producer.lag import Lag
from facestream_producer.motion import MotionGate
from facestream_producer.pacing import Pacer, RealTime
from facestream_producer.packets import VideoPacket
from facestream_producer.presentation import Presentation
from facestream_producer.selection import LOST_SECONDS, Counts, Selection
from facestream_producer.source import MICROSECONDS, Clock, Kind, SourceFrame, now_us

FIRST_PAUSE_SECONDS = 0.5
# Half as much again is the most a pause with jitter can be.
MOST_PAUSE_SECONDS = 20.0
STABLE_SECONDS = 60.0
# What nobody but the camera's owner can mend is not asked for every second: cameras lock out who does.
SLOW_PAUSE_SECONDS = 30.0
_STOP_POLL_SECONDS = 0.25
# Of the time after which a camera counts as stalled; the rest is for noticing and saying so.
_READ_SHARE = 0.9
_WITHOUT_TIMES = ("mpjpeg", "mjpeg", "h264", "hevc")


class LiveSource:
    """A camera's pictures, through every reconnection; `frames()` ends only by `stop` or `close`.

    See `Source`. url: a CameraUrl. policy: where it may lead, asked before every connection.
    fps: keep at most so many a second, evenly; None keeps all.
    stall_seconds: without a picture for so long the camera is stalled, and is connected to anew.
    device: decodes where it can; None: the processor.
    on_state: told every change of state, from the thread that reads the frames.
    skipped, corrupt: what arrived and was not given, ever growing: every packet received is given as a
    frame or counted there. `clock` is "sender" once the camera has told its wall clock, by RTCP.

    Presentation times go on over a reconnection by the time that passed between.
    """

    kind: Kind = "camera"
    live = True
    length: int | None = None

    def __init__(
        self,
        name: str,
        url: Address,
        *,
        policy: AddressPolicy | None = None,
        fps: float | None = None,
        transport: Transport = "tcp",
        stall_seconds: float = 5.0,
        open_seconds: float = OPEN_SECONDS,
        motion: MotionGate | None = None,
        device: HWAccel | None = None,
        on_state: Callable[[CameraState], None] = lambda state: None,
        stop: threading.Event | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.name, self.fps = name, fps
        self.clock: Clock = "receipt"
        self._url, self._policy, self._transport, self._device = url, policy, transport, device
        self._stall_seconds, self._open_seconds = stall_seconds, open_seconds
        self._read_seconds = stall_seconds * _READ_SHARE
        self._pacer = Pacer(fps) if fps else None
        self._motion, self._on_state = motion, on_state
        self._stop, self._closed = stop or threading.Event(), threading.Event()
        self._counts = Counts()
        self._backoff = backoff or Backoff(FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS)
        self._state: CameraState | None = None
        self._live_since: float | None = None
        self._last: tuple[int, float] | None = None

    @property
    def skipped(self) -> Counter[SourceDrop]:
        return self._counts.skipped

    @property
    def corrupt(self) -> int:
        return self._counts.corrupt

    def frames(self) -> Iterator[SourceFrame]:
        self._say("connecting")
        while not self._ended():
            try:
                yield from self._one_connection()
            except SourceError as error:
                self._wait(self._after(error))

    def fingerprint(self) -> str:
        return ""

    def close(self) -> None:
        self._closed.set()

    def _one_connection(self) -> Iterator[SourceFrame]:
        """One connection's frames; raises SourceError at its end, unless we were asked to stop."""
        self._live_since = None
        connection = connect(
            self._url,
            policy=self._policy,
            transport=self._transport,
            device=self._device,
            open_seconds=self._open_seconds,
            read_seconds=self._read_seconds,
        )
        try:
            yield from self._frames_of(connection)
        finally:
            connection.close()

    def _frames_of(self, connection: Connection) -> Iterator[SourceFrame]:
        name = connection.container.format.name
        presentation = Presentation(self._base_us(), receipt=name in _WITHOUT_TIMES)
        selection = Selection(
            connection.stream,
            presentation,
            self._counts,
            partial(self._captured_at, connection),
            self._pacer,
            self._motion,
        )
        packets = connection.packets(self._ended)
        if name.startswith("hls"):
            # A playlist's pictures come a segment at a time: they are given at their own pace.
            packets = self._at_their_pace(packets, presentation)
        try:
            try:
                yield from self._note(self._select(packets, selection, presentation))
            except SourceError:
                # What had arrived whole before it broke off is as good as any.
                yield from self._note(selection.finish())
                raise
        finally:
            for _ in selection.finish(SourceDrop.SHUTDOWN):
                pass

    def _select(
        self, packets: Iterator[VideoPacket], selection: Selection, presentation: Presentation
    ) -> Iterator[SourceFrame]:
        lag = Lag(LOST_SECONDS)
        for packet in packets:
            received_us, now = now_us(), time.monotonic()
            at_us = presentation.guess(packet.pts, packet.time_base, received_us)
            late = 0.0 if at_us is None else lag.seconds(at_us, now)
            for frame in selection.take(packet, received_us, late):
                self._note_picture(now)
                yield frame
            if selection.barren_since is None:
                # Pictures that are not wanted are a sign of life too.
                self._note_picture(now)
            elif now - selection.barren_since > self._stall_seconds:
                self._device = None  # if it was the device that could not
                raise CameraStalled(f"{self._url} sends data, but no picture in it can be decoded")

    def _note_picture(self, now: float) -> None:
        if self._live_since is None:
            self._live_since = now
            self._say("live")

    def _note(self, frames: Iterator[SourceFrame]) -> Iterator[SourceFrame]:
        for frame in frames:
            self._last = (frame.pts_us, time.monotonic())
            yield frame

    def _at_their_pace(
        self, packets: Iterator[VideoPacket], presentation: Presentation
    ) -> Iterator[VideoPacket]:
        pace = RealTime()
        for packet in packets:
            at_us = presentation.guess(packet.pts, packet.time_base, now_us())
            if at_us is not None and self._wait(pace.wait_seconds(at_us, time.monotonic())):
                return
            yield packet

    def _base_us(self) -> int:
        if self._last is None:
            return 0
        last_us, at = self._last
        return last_us + max(1, round((time.monotonic() - at) * MICROSECONDS))

    def _captured_at(self, connection: Connection, packet: VideoPacket | None, received_us: int) -> int:
        sent_us = None if packet is None else connection.sender_us(packet, received_us)
        self.clock = "receipt" if sent_us is None else "sender"
        return received_us if sent_us is None else sent_us

    def _after(self, error: SourceError) -> float:
        """Say what happened; the seconds to wait before the next try."""
        lived = None if self._live_since is None else time.monotonic() - self._live_since
        if lived is not None and lived >= STABLE_SECONDS:
            self._backoff.reset()
        if isinstance(error, CameraUnauthorized | CameraNotFound):
            self._say("unauthorized" if isinstance(error, CameraUnauthorized) else "not_found", str(error))
            return SLOW_PAUSE_SECONDS * random.uniform(0.75, 1.25)
        if isinstance(error, CameraStalled):
            self._say("stalled", str(error))
        else:
            self._say("failed" if lived is None else "connecting", str(error))
        return self._backoff.next_seconds()

    def _say(self, state: State, error: str | None = None) -> None:
        """Tell a state that is new, or has a new reason, since when it holds."""
        before = self._state
        if before is not None and before.state == state:
            if before.error == error or error is None:
                return
            self._state = CameraState(state, before.since_us, error)
        else:
            self._state = CameraState(state, now_us(), error)
        self._on_state(self._state)

    def _ended(self) -> bool:
        return self._stop.is_set() or self._closed.is_set()

    def _wait(self, seconds: float) -> bool:
        """True when asked to stop meanwhile."""
        until = time.monotonic() + seconds
        while not self._ended():
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._stop.wait(min(left, _STOP_POLL_SECONDS))
        return True
