"""A video file played as if it were a camera: at its own pace, over and over."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from facestream.contract import SourceDrop
from facestream.errors import SourceBroken, SourceUnreadable
from facestream_models.images import shown
from facestream_producer.container import FILE_OPTIONS, video_stream
from facestream_producer.motion import MotionGate
from facestream_producer.pacing import Pacer, RealTime
from facestream_producer.packets import VideoPacket
from facestream_producer.presentation import Presentation
from facestream_producer.selection import Counts, Selection
from facestream_producer.source import MICROSECONDS, Clock, Kind, SourceFrame, now_us
from facestream_producer.video import VideoSource

_STOP_POLL_SECONDS = 0.25


class PlayedFile:
    """One video file; see `Source`. Raises SourceMissing or SourceUnreadable when made.

    realtime: its frames come when they are due, as of a camera, or later when they are not taken in time:
    then it plays more slowly. Else they come as fast as they are taken. loop: it begins again at its end,
    and its presentation times go on. fps, motion, skipped and corrupt are as LiveSource has them.
    """

    kind: Kind = "file"

    def __init__(
        self,
        path: Path,
        *,
        fps: float | None = None,
        realtime: bool = True,
        loop: bool = False,
        motion: MotionGate | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        whole = VideoSource(path)
        self.path, self.name, self.live = path, whole.name, realtime
        self.clock: Clock = "receipt" if realtime else "file"
        self.length = None if loop else whole.length
        self.fps = fps or whole.fps
        self._own_fps, self._fingerprint = whole.fps, whole.fingerprint
        self._limit, self._motion, self._realtime, self._loop = fps, motion, realtime, loop
        self._stop, self._closed = stop or threading.Event(), threading.Event()
        self._counts = Counts()

    @property
    def skipped(self) -> Counter[SourceDrop]:
        return self._counts.skipped

    @property
    def corrupt(self) -> int:
        return self._counts.corrupt

    def frames(self) -> Iterator[SourceFrame]:
        self._counts.corrupt = 0
        pacer, pace = Pacer(self._limit) if self._limit else None, RealTime()
        base_us, gave = 0, True
        while gave and not self._ended():
            presentation = Presentation(base_us, step_us=round(MICROSECONDS / (self._own_fps or 25)))
            yield from self._once(presentation, pacer, pace)
            gave = self._loop and presentation.last_us is not None
            base_us = (presentation.last_us or 0) + presentation.step_us

    def fingerprint(self) -> str:
        return "" if self._realtime or self._loop else self._fingerprint()

    def close(self) -> None:
        self._closed.set()

    def _once(self, presentation: Presentation, pacer: Pacer | None, pace: RealTime) -> Iterator[SourceFrame]:
        with _opened(self.path) as (container, stream):
            selection = Selection(stream, presentation, self._counts, _receipt, pacer, self._motion)
            try:
                for packet in self._packets(container, stream, presentation.base_us, pace):
                    yield from selection.take(packet, now_us())
                if not self._ended():
                    yield from selection.finish()
            finally:
                for _ in selection.finish(SourceDrop.SHUTDOWN):
                    pass

    def _packets(
        self, container: InputContainer, stream: VideoStream, base_us: int, pace: RealTime
    ) -> Iterator[VideoPacket]:
        first: int | None = None
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    return
                if self._realtime and packet.dts is not None:
                    first = packet.dts if first is None else first
                    due_us = base_us + round(float((packet.dts - first) * packet.time_base) * MICROSECONDS)
                    self._wait(pace.wait_seconds(due_us, time.monotonic()))
                if self._ended():
                    return
                yield packet
        except FFmpegError:
            broken = SourceBroken(f"{shown(self.path)} is incomplete or damaged")
        else:
            return
        raise broken

    def _ended(self) -> bool:
        return self._stop.is_set() or self._closed.is_set()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._ended():
            self._stop.wait(min(left, _STOP_POLL_SECONDS))


def _receipt(_packet: VideoPacket | None, received_us: int) -> int:
    return received_us


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        container = av.open(f"file:{path.absolute()}", "r", options=FILE_OPTIONS, metadata_errors="replace")
    except (FFmpegError, ValueError, MemoryError):
        raise SourceUnreadable(f"{shown(path)} cannot be read any more") from None
    with container:
        yield container, video_stream(container, shown(path))
