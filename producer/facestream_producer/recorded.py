"""A recording as a source: one camera's frames, exactly as they were published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import simplejpeg

from facestream.errors import SourceUnreadable
from facestream.recording.entries import SUFFIX, Frame
from facestream.recording.reader import Recording
from facestream_models.images import shown
from facestream_producer.source import MICROSECONDS, Clock, Kind, Pixels, Recorded, SourceFrame, now_us

# What `expand` makes of a recording: the file and one of its cameras.
_PART = re.compile(rf"(.*{re.escape(SUFFIX)})(?:#([a-z0-9][a-z0-9._-]*))?", re.IGNORECASE | re.DOTALL)


class RecordingSource:
    """One camera's frames of a recording, each with the time it had; see `Source`.

    Raises SourceMissing or SourceUnreadable when made, SourceBroken from `frames()` where the file was cut
    short, after everything that is whole.
    """

    kind: Kind = "recording"
    live = False
    clock: Clock = "file"
    corrupt = 0

    def __init__(self, path: Path, camera: str | None = None) -> None:
        self.path, self.name = path, path.name
        self._recording, self._closed = Recording(path), Event()
        self._camera = camera or _only_camera(self._recording)
        count, first_us, last_us = self._survey()
        self.length: int | None = count
        self.fps: float | None = (
            (count - 1) * MICROSECONDS / (last_us - first_us) if last_us > first_us else None
        )

    def frames(self) -> Iterator[SourceFrame]:
        last_us = moved_us = 0
        for frame in self._frames():
            if self._closed.is_set():
                return
            # The camera's times began anew in its next epoch; a source's never go back.
            moved_us = max(moved_us, last_us - frame.header.pts_us)
            last_us = frame.header.pts_us + moved_us
            yield SourceFrame(Recorded(frame.header, frame.image), last_us, now_us())

    def fingerprint(self) -> str:
        state = self.path.stat()
        return f"recording-{state.st_size}-{state.st_mtime_ns}-{self._camera}"

    def close(self) -> None:
        self._closed.set()

    def _frames(self) -> Iterator[Frame]:
        for entry in self._recording.entries():
            if isinstance(entry, Frame) and entry.header.camera == self._camera:
                yield entry

    def _survey(self) -> tuple[int, int, int]:
        """How many frames there are, and the times of the first and the last, whatever breaks off."""
        contents = self._recording.contents()
        return contents.frames[self._camera], *contents.times_us.get(self._camera, (0, 0))


def is_recording(text: str) -> bool:
    return _PART.fullmatch(text) is not None


def part_of(text: str) -> tuple[Path, str | None]:
    """The file, and the camera in it that is meant, if one is named."""
    match = _PART.fullmatch(text)
    return (Path(match[1]), match[2]) if match else (Path(text), None)


def recorded_camera(text: str) -> str | None:
    """The camera named in one of the `parts` of a recording; None for any other source."""
    return part_of(text)[1]


def parts(text: str) -> list[str]:
    """One source for each camera of a recording; raises SourceUnreadable when there are no frames in it."""
    path, camera = part_of(text)
    cameras = sorted(Recording(path).contents().frames)
    if not cameras:
        raise SourceUnreadable(f"{shown(path)} holds no pictures: facestream replay prints what it holds")
    if camera is not None and camera not in cameras:
        raise SourceUnreadable(f"{shown(path)} holds no pictures of {camera}, but of {', '.join(cameras)}")
    return [f"{path}#{name}" for name in ([camera] if camera else cameras)]


def uncut(recorded: Recorded) -> Pixels:
    """The whole source picture, BGR, of which a recorded one shows a part; black where nothing was sent.

    Raises SourceUnreadable for what is no JPEG of the size its header says.
    """
    header = recorded.header
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(recorded.data)
        if (width, height) != (header.width, header.height):
            raise ValueError
        sent = simplejpeg.decode_jpeg(recorded.data, colorspace="BGR")
    except ValueError:
        raise SourceUnreadable(f"a recorded picture of {header.camera} is broken") from None
    x, y, width, height = header.region
    whole = np.zeros((header.source_height, header.source_width, 3), np.uint8)
    whole[y : y + height, x : x + width] = cv2.resize(sent, (width, height), interpolation=cv2.INTER_LINEAR)
    return whole


def _only_camera(recording: Recording) -> str:
    cameras = sorted(recording.contents().frames)
    if len(cameras) != 1:
        raise SourceUnreadable(
            f"{shown(recording.path)} holds pictures of {len(cameras)} cameras: name one, such as "
            f"{shown(recording.path)}#{cameras[0] if cameras else 'lobby'}"
        )
    return cameras[0]
