"""Cameras attached to this machine: V4L2 on Linux, AVFoundation on macOS."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import av
from av.container import InputContainer
from av.error import FFmpegError

from facestream.errors import SourceBroken, SourceMissing, SourceUnreadable
from facestream_producer.container import Tally, Timeline, pictures, video_stream
from facestream_producer.source import Clock, Kind, SourceFrame, now_us


class DeviceSource:
    """A camera, by its number or its node (`0`, `/dev/video0`); see `Source`.

    The camera is opened by `frames()`. Raises SourceMissing or SourceUnreadable when made if there
    is none, SourceBroken from `frames()` when it goes away.
    """

    kind: Kind = "device"
    live = True
    clock: Clock = "receipt"
    length: int | None = None
    fps: float | None = None

    def __init__(self, text: str) -> None:
        self.address = _address(text)
        self.name = Path(text).name
        self.corrupt = 0
        self._closed = Event()

    def frames(self) -> Iterator[SourceFrame]:
        if self._closed.is_set():
            return
        tally = Tally()
        with _opened(self.address) as container:
            stream = video_stream(container, self.address)
            self.fps = float(stream.average_rate) if stream.average_rate else None
            timeline = Timeline(None, self.fps)
            for picture in pictures(container, stream, tally):
                received_us = now_us()
                self.corrupt = tally.corrupt
                yield SourceFrame(picture, timeline.place(picture), received_us)
                if self._closed.is_set():
                    return
        raise SourceBroken(f"the camera {self.address} stopped: is it still plugged in?")

    def fingerprint(self) -> str:
        return f"device-{self.address}"

    def close(self) -> None:
        self._closed.set()


def is_device(text: str) -> bool:
    """A number is a camera; a file of that name is written ./0."""
    return (text.isascii() and text.isdigit()) or text.startswith("/dev/")


def _address(text: str) -> str:
    if sys.platform == "darwin":
        if not text.isdigit():
            raise SourceMissing(f"{text} is no camera: on macOS cameras are numbers, the first is 0")
        return text
    node = Path(f"/dev/video{int(text)}" if text.isdigit() else text)
    try:
        mode = node.stat().st_mode
    except OSError:
        present = sorted(str(path) for path in Path("/dev").glob("video*"))
        raise SourceMissing(
            f"there is no camera {node}; cameras here: {', '.join(present) or 'none'}"
        ) from None
    if not stat.S_ISCHR(mode):
        raise SourceUnreadable(f"{node} is not a camera")
    if not os.access(node, os.R_OK | os.W_OK):
        raise SourceUnreadable(
            f"{node} cannot be opened: add this user to the group that owns it (often 'video')"
        )
    return str(node)


@contextmanager
def _opened(address: str) -> Iterator[InputContainer]:
    mac = sys.platform == "darwin"
    try:
        container = av.open(
            address,
            "r",
            format="avfoundation" if mac else "v4l2",
            # AVFoundation's default rate is one most cameras refuse.
            options={"framerate": "30"} if mac else {},
        )
    except (FFmpegError, ValueError):
        raise SourceUnreadable(
            f"{address} gives no pictures: it is not a camera, or another program is using it"
        ) from None
    with container:
        yield container
