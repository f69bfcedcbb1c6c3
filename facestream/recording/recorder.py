"""Records what passes: frames from the producers' taps, results and rejects from the broker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from facestream import __version__
from facestream.bus.connection import Connection
from facestream.bus.tail import Fields, Tail, packed_in, rejects_streams, results_streams
from facestream.bus.tap import Tap
from facestream.contract import MAX_IMAGE_BYTES, DropReason, FrameHeader, unpack_reject, unpack_result
from facestream.errors import BusFull, BusRefused, BusUnavailable, FrameRefused
from facestream.recording import entries
from facestream.recording.writer import RecordingWriter

POLL_SECONDS: Final = 0.1
ASK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.25
# The last frames' results are on their way when the time is up.
LINGER_SECONDS: Final = 2.0
_MOMENT_SECONDS: Final = 0.001
_FRAMES_A_READ: Final = 16

Packed = tuple[str, bytes]


@dataclass(slots=True)
class Recorded:
    """What went into a recording. missed: frames that passed and were not recorded, by camera."""

    frames: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    results: int = 0
    rejects: int = 0
    seconds: float = 0.0
    why: str = "time"

    @property
    def is_empty(self) -> bool:
        return not (self.frames.total() or self.results or self.rejects)


class Recorder:
    """Records what passes of the cameras; of all of them when none is named and no picture wanted.

    `say` is told what cannot be recorded, and when the broker is away; the rest goes on.
    """

    def __init__(
        self,
        connection: Connection,
        cameras: Sequence[str],
        say: Callable[[str], None],
        *,
        pictures: bool,
    ) -> None:
        self._connection, self._cameras, self._say = connection, tuple(cameras), say
        self._pictures, self._is_away = pictures, False
        self._tap, self._ask_at = Tap(connection), 0.0
        self._last: dict[str, tuple[int, int]] = {}
        self._frames = self._tail([connection.keys.tap(name) for name in cameras], _frame, _FRAMES_A_READ)
        self._results = self._tail(results_streams(connection), _result)
        self._rejects = self._tail(rejects_streams(connection), _reject)
        self._add: Callable[[bytes], bool]
        self.recorded = Recorded()

    def run(
        self,
        writer: RecordingWriter,
        seconds: float,
        stop: threading.Event,
        show: Callable[[Recorded, int], None],
    ) -> None:
        """Record until the time is up, the file has no more room, or somebody asks to stop.

        `show` is given what there is so far, and its bytes, again and again. Raises FacestreamError when
        the disk is full, BusRefused when the broker will not be asked.
        """
        began = time.monotonic()
        self._add = writer.add
        has_room = writer.add(entries.pack_began(self._beginning()))
        while has_room and not stop.is_set() and self.recorded.seconds < seconds:
            has_room = self._try_to_pass_on(stop)
            self.recorded.seconds = time.monotonic() - began
            show(self.recorded, writer.bytes)
        if has_room and self._pictures:
            has_room = self._linger(stop)
        self.recorded.why = "size" if not has_room else "asked" if stop.is_set() else "time"
        missed = self.recorded.missed.total()
        writer.finish(entries.pack_ended(entries.Ended(_now_us(), self.recorded.why, missed)))

    def _try_to_pass_on(self, stop: threading.Event) -> bool:
        """False when there is no more room. A broker that is away costs time, and what passes meanwhile."""
        try:
            self._ask()
            has_room = self._pass_on()
        except (BusUnavailable, BusFull) as error:
            if not self._is_away:
                self._say(f"{error}; recording goes on when it is back")
            self._is_away = True
            stop.wait(RETRY_SECONDS)
            return True
        self._is_away = False
        return has_room

    def _ask(self) -> None:
        if self._pictures and time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + ASK_SECONDS
            for camera in self._cameras:
                self._tap.ask_to_record(camera)

    def _pass_on(self) -> bool:
        """Write what has come meanwhile; False when there is no more room."""
        if self._pictures:
            return self._add_frames() and self._add_ends(_MOMENT_SECONDS)
        return self._add_ends(POLL_SECONDS)

    def _linger(self, stop: threading.Event) -> bool:
        """Wait a moment for the results of the last frames; False when there is no more room."""
        until = time.monotonic() + LINGER_SECONDS
        while time.monotonic() < until and not stop.is_set() and not self._is_away:
            ended = self.recorded.results + self.recorded.rejects
            if ended >= self.recorded.frames.total():
                break
            try:
                if not self._add_ends(POLL_SECONDS):
                    return False
            except BusUnavailable:
                break
        return True

    def _add_frames(self) -> bool:
        for header, packed, image in self._frames.read(POLL_SECONDS) if self._frames else ():
            if not self._add(entries.pack_frame(_now_us(), packed, image)):
                return False
            self._note(header)
        return True

    def _add_ends(self, wait_seconds: float) -> bool:
        for camera, packed in self._read(self._results, wait_seconds):
            if self._wants(camera):
                if not self._add(entries.pack_result(_now_us(), packed)):
                    return False
                self.recorded.results += 1
        for camera, packed in self._read(self._rejects, _MOMENT_SECONDS):
            if self._wants(camera):
                if not self._add(entries.pack_reject(_now_us(), packed)):
                    return False
                self.recorded.rejects += 1
        return True

    def _read(self, tail: Tail[Packed] | None, wait_seconds: float) -> Iterable[Packed]:
        return tail.read(wait_seconds) if tail else ()

    def _note(self, header: FrameHeader) -> None:
        """Published frames are numbered without a gap: a number that is missing passed unrecorded."""
        epoch, seq = self._last.get(header.camera, (header.epoch, header.seq - 1))
        if header.epoch > epoch:
            seq = -1  # begun while we recorded, so all of it was to be recorded
        if header.epoch >= epoch:
            self.recorded.missed[header.camera] += max(0, header.seq - seq - 1)
        self._last[header.camera] = header.epoch, header.seq
        self.recorded.frames[header.camera] += 1

    def _wants(self, camera: str) -> bool:
        return not self._cameras or camera in self._cameras

    def _beginning(self) -> entries.Began:
        return entries.Began(_now_us(), self._cameras, self._pictures, __version__)

    def _tail(self, streams: list[str], unpack: Callable[[Fields], Any], page: int = 256) -> Tail[Any] | None:
        """None for what this user of the broker may not read: said, and the rest is recorded."""
        try:
            return Tail(self._connection, streams, unpack, page=page) if streams else None
        except BusRefused as error:
            self._say(f"{error}; the rest is recorded")
            return None


def _frame(fields: Fields) -> tuple[FrameHeader, bytes, bytes]:
    packed, image = fields.get(b"h", b""), fields.get(b"i", b"")
    if len(image) > MAX_IMAGE_BYTES:  # nobody could read on behind it
        raise FrameRefused(DropReason.CONTRACT_ERROR, f"a picture of {len(image)} bytes")
    return FrameHeader.unpack(packed), packed, image


def _result(fields: Fields) -> Packed:
    packed = packed_in(fields)
    return unpack_result(packed)["camera"], packed


def _reject(fields: Fields) -> Packed:
    packed = packed_in(fields)
    return unpack_reject(packed)["camera"], packed


def _now_us() -> int:
    return time.time_ns() // 1000
