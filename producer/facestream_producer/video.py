"""Video files, through PyAV: every frame that decodes, upright, once."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from facestream.errors import SourceBroken, SourceMissing, SourceUnreadable
from facestream_models.images import shown
from facestream_producer.completeness import is_cut_short
from facestream_producer.container import FILE_OPTIONS, Tally, Timeline, pictures, video_stream
from facestream_producer.source import MICROSECONDS, Clock, Kind, SourceFrame, now_us

_FINGERPRINTED_BYTES = 1 << 20


class VideoSource:
    """One video file; see `Source`. Raises SourceMissing or SourceUnreadable when made."""

    kind: Kind = "file"
    live = False
    clock: Clock = "file"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.corrupt = 0
        self._closed = Event()
        with _opened(path) as (container, stream):
            self.fps = _fps(stream)
            self._seconds = _seconds(container, stream)
            self.length = stream.frames or _estimate(self._seconds, self.fps)

    def frames(self) -> Iterator[SourceFrame]:
        self.corrupt = 0
        if self._closed.is_set():
            return
        given, last_us, tally = 0, 0, Tally()
        with _opened(self.path) as (container, stream):
            timeline = Timeline(stream.start_time, self.fps)
            for picture in pictures(container, stream, tally):
                self.corrupt = tally.corrupt
                last_us = timeline.place(picture)
                given += 1
                yield SourceFrame(picture, last_us, now_us())
                if self._closed.is_set():
                    return
            self.corrupt = tally.corrupt
            self._judge_the_end(container.format.name, stream.frames, tally, given, last_us)

    def _judge_the_end(self, format_name: str, promised: int, tally: Tally, given: int, last_us: int) -> None:
        """Raise if the file ended before it should have: its pictures so far are good, the rest is lost."""
        name = shown(self.path)
        if tally.cut or is_cut_short(self.path, format_name, packets=tally.packets, promised=promised):
            # The picture in which it broke off counts, even when none of it arrived.
            self.corrupt = max(1, self.corrupt)
            expected = f" of about {self._seconds:.1f} s" if self._seconds else ""
            raise SourceBroken(
                f"{name} breaks off after {given} frames, {last_us / MICROSECONDS:.1f} s{expected}: "
                "the file is incomplete or damaged there"
            )
        if not given and tally.packets:
            raise SourceBroken(
                f"{name}: none of its {tally.packets} pictures decodes; "
                "the file is damaged, or its pictures are too large"
            )
        if not given:
            raise SourceBroken(f"{name} has a video stream without a picture in it")

    def fingerprint(self) -> str:
        state = self.path.stat()
        with self.path.open("rb") as file:
            beginning = hashlib.sha256(file.read(_FINGERPRINTED_BYTES)).hexdigest()
        return f"{state.st_size}-{state.st_mtime_ns}-{beginning}"

    def close(self) -> None:
        self._closed.set()


def check_readable(path: Path) -> None:
    """Raise the one line that says why a file cannot be read at all."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceMissing(f"{shown(path)} does not exist") from None
    except (OSError, ValueError):
        raise SourceUnreadable(f"{shown(path)} cannot be read: check its name and its permissions") from None
    if stat.S_ISDIR(state.st_mode):
        raise SourceUnreadable(f"{shown(path)} is a folder, not a video file")
    if not stat.S_ISREG(state.st_mode):
        raise SourceUnreadable(f"{shown(path)} is not a regular file")
    if not os.access(path, os.R_OK):
        raise SourceUnreadable(f"{shown(path)} cannot be read: permission denied")
    if not state.st_size:
        raise SourceUnreadable(f"{shown(path)} is empty")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    check_readable(path)
    # `file:` and a full path keep FFmpeg from reading a protocol into a strange file name.
    try:
        container = av.open(f"file:{path.absolute()}", "r", options=FILE_OPTIONS, metadata_errors="replace")
    except (FFmpegError, ValueError, MemoryError):
        # FFmpeg's own text repeats the address it was given: it is never passed on.
        raise SourceUnreadable(_why_unreadable(path)) from None
    with container:
        yield container, video_stream(container, shown(path))


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return f"{shown(path)} is incomplete or damaged: it has no index; copy or record it again"
    return f"{shown(path)} is not a video this FFmpeg can read"


def _fps(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate and 0 < rate <= 1000 else None


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / MICROSECONDS if container.duration and container.duration > 0 else None


def _estimate(seconds: float | None, fps: float | None) -> int | None:
    return max(1, round(seconds * fps)) if seconds and fps else None
