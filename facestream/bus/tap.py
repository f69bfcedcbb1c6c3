"""Frames for people who are looking: copies beside the ledger, made only while somebody looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from facestream.bus.connection import Connection
from facestream.bus.tail import Entries, stream_pairs
from facestream.contract import FrameHeader
from facestream.errors import BusError, FrameRefused
from facestream.names import check_camera_name

WATCH_SECONDS: Final = 5
"""How long a watch lasts unless it is repeated."""
KEEP_SECONDS: Final = 10
MAX_FRAMES: Final = 4
MAX_BYTES: Final = 4 << 20
"""What a tap may take of the broker's memory: fewer frames are kept when they are large, at least one."""
MAX_RECORDED_FRAMES: Final = 256
MAX_RECORDED_BYTES: Final = 8 << 20
"""The same while somebody records, who wants every frame and may fall behind for a moment."""
_LOOK_SECONDS: Final = 1.0
_REWATCH_SECONDS: Final = 1.0

TappedFrame = tuple[FrameHeader, bytes]


class Tap:
    """The looking side. What is not seen in time is gone: nothing here is accounted for, or waited for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def watch(self, camera: str) -> None:
        """Ask for a camera's frames during the next WATCH_SECONDS; repeat it while looking.

        Raises CameraNameError, and BusFull, BusUnavailable or BusRefused.
        """
        key = self._connection.keys.watch(check_camera_name(camera))
        self._connection.read("SET", key, 1, "EX", WATCH_SECONDS)

    def ask_to_record(self, camera: str) -> None:
        """Ask for every frame of a camera during the next WATCH_SECONDS; the producer says that it is asked.

        Raises as `watch` does.
        """
        key = self._connection.keys.record(check_camera_name(camera))
        self._connection.read("SET", key, 1, "EX", WATCH_SECONDS)

    def follow(self, camera: str, wait_seconds: float) -> Iterator[TappedFrame]:
        """The newest frame, again and again, with what came before it left out; watches meanwhile.

        Ends when none has come for `wait_seconds`, which should be some seconds: the producer looks once a
        second whether anybody watches. The image is encoded as its header says. Raises as `watch` does.
        """
        after, heard_at, watched_at = "0-0", time.monotonic(), float("-inf")
        while True:
            now = time.monotonic()
            if now - watched_at >= _REWATCH_SECONDS:
                self.watch(camera)
                watched_at = now
            left = heard_at + wait_seconds - now
            for entry, fields in self._newest(camera, after, min(max(left, 0.0), _REWATCH_SECONDS)):
                after = entry.decode()
                try:
                    frame = FrameHeader.unpack(fields.get(b"h", b"")), fields.get(b"i", b"")
                except FrameRefused:
                    continue
                yield frame
                heard_at = time.monotonic()  # whoever looks may take his time
            if time.monotonic() - heard_at >= wait_seconds:
                return

    def _newest(self, camera: str, after: str, wait_seconds: float) -> Entries:
        """The newest entry after the given one, or else the first that comes in time: never a whole page."""
        tap = self._connection.keys.tap(camera)
        newest: Entries = self._connection.read("XREVRANGE", tap, "+", f"({after}", "COUNT", 1)
        wait_ms = int(wait_seconds * 1000)
        if newest or wait_ms <= 0:
            return newest
        reply = self._connection.read("XREAD", "COUNT", 1, "BLOCK", wait_ms, "STREAMS", tap, after)
        return [entry for _, entries in stream_pairs(reply) for entry in entries]


class TapWriter:
    """The producer's side, for one camera: `offer` costs next to nothing while nobody looks.

    Nothing that goes wrong here is said or raised: looking on must never hurt publishing. `on_recording` is
    told when somebody begins and ends to record, which is to keep what others only look at.
    """

    def __init__(
        self, connection: Connection, camera: str, on_recording: Callable[[bool], None] | None = None
    ) -> None:
        self._connection, keys = connection, connection.keys
        self._keys = [keys.watch(camera), keys.record(camera), keys.tap(camera)]
        self._is_watched, self._look_at = False, float("-inf")
        self._is_recorded, self._on_recording = False, on_recording

    def offer(self, header: FrameHeader, image: bytes) -> None:
        """Copy a frame that has been published, if somebody watches; that is looked up once a second."""
        if not self._is_watched and time.monotonic() < self._look_at:
            return
        try:
            self._is_watched = (self._is_watched or self._look()) and self._copy(header, image)
        except BusError:
            self._is_watched = False
        if not self._is_watched:
            self._look_at = time.monotonic() + _LOOK_SECONDS

    def _look(self) -> bool:
        if self._connection.read("EXISTS", *self._keys[:2]):
            return True
        self._notice(recorded=False)
        return False

    def _copy(self, header: FrameHeader, image: bytes) -> bool:
        """False when nobody watches any more; the watch is looked at in the same round trip."""
        looking = _fitting(image, MAX_FRAMES, MAX_BYTES)
        recording = _fitting(image, MAX_RECORDED_FRAMES, MAX_RECORDED_BYTES)
        arguments = [header.pack(), image, looking, recording, KEEP_SECONDS]
        watched: int = self._connection.call("tap", self._keys, arguments, retry=False)
        self._notice(recorded=watched == 2)
        return watched > 0

    def _notice(self, *, recorded: bool) -> None:
        if recorded != self._is_recorded:
            self._is_recorded = recorded
            if self._on_recording is not None:
                self._on_recording(recorded)


def _fitting(image: bytes, frames: int, size_bytes: int) -> int:
    return max(1, min(frames, size_bytes // max(1, len(image))))
