"""Tracks and minutes of a file of results, as `facestream run --out` writes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgpack

from facestream.contract import MAX_RESULT_BYTES, ResultMap, unpack_result
from facestream.errors import FrameRefused, UsageError
from facestream.lines import Line
from facestream_tracker.camera import Camera, Said

# JSON says a number in more signs than msgpack.
_MAX_LINE_BYTES: Final = 4 * MAX_RESULT_BYTES
_STDIN: Final = "-"


def track_file(path: Path, lines: tuple[Line, ...], least_group: int = 1) -> Said:
    """All that became of the results: every event of every track, and every minute.

    `-` is standard input. Raises UsageError for a file that cannot be read, or the first line that is none.
    """
    cameras: dict[str, Camera] = {}
    with _opened(path) as file:
        for result in _results(path, file):
            name = result["camera"]
            if name not in cameras:
                cameras[name] = Camera(name, least_group, lines)
            cameras[name].take(result)
    return _finished(cameras.values())


def _finished(cameras: Iterable[Camera]) -> Said:
    whole = Said()
    for camera in cameras:
        camera.finish()
        said = camera.take_said()
        whole.tracks += said.tracks
        whole.minutes += said.minutes
    return whole


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise UsageError(
            f"cannot read {path} ({reason}): give a file that `facestream run --out` wrote"
        ) from None
    with file:
        yield file


def _results(path: Path, file: BinaryIO) -> Iterator[ResultMap]:
    number = 0
    try:
        while line := file.readline(_MAX_LINE_BYTES):
            number += 1
            if line.strip():
                yield _read(line)
    except (ValueError, TypeError, RecursionError, OverflowError, OSError, FrameRefused) as error:
        why = str(error) if isinstance(error, FrameRefused) else type(error).__name__
        raise UsageError(
            f"{path}: line {number} is no result ({why[:120]}): give a file that `facestream run --out` wrote"
        ) from None


def _read(line: bytes) -> ResultMap:
    """As a consumer reads it from the broker: with every field checked."""
    return unpack_result(msgpack.packb(json.loads(line)))
