"""Reads a recording; everything in the file is bounded before it is believed."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from facestream.errors import SourceBroken, SourceMissing, SourceUnreadable
from facestream.recording.entries import (
    MAGIC,
    MAX_CAMERAS,
    PREFIX,
    VERSION,
    Began,
    Ended,
    Entry,
    Frame,
    Reject,
    Result,
    body_bytes,
    unpack,
)


@dataclass(slots=True)
class Contents:
    """What is in a recording. frames: how many, by camera; times_us: the first and last of each camera's
    presentation times; broken: why it ends too early.
    """

    began: Began | None = None
    ended: Ended | None = None
    frames: Counter[str] = field(default_factory=Counter)
    times_us: dict[str, tuple[int, int]] = field(default_factory=dict)
    frame_bytes: int = 0
    results: int = 0
    rejects: int = 0
    broken: str | None = None


class Recording:
    """A recording on disk. Raises SourceMissing or SourceUnreadable when made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened(path):
            pass

    def entries(self) -> Iterator[Entry]:
        """Every whole entry in order; raises SourceBroken, after them, where it was cut short or damaged."""
        read, cameras = 0, set[str]()
        with _opened(self.path) as file:
            while prefix := file.read(PREFIX.size):
                entry = self._read(file, prefix, read)
                if isinstance(entry, Frame):
                    cameras.add(entry.header.camera)
                    if len(cameras) > MAX_CAMERAS:
                        raise self._broken(f"more than {MAX_CAMERAS} cameras", read)
                read += 1
                if entry is not None:
                    yield entry
                if isinstance(entry, Ended):
                    return
        raise self._broken("it was cut short", read)

    def contents(self) -> Contents:
        """Read it through."""
        found = Contents()
        try:
            for entry in self.entries():
                _count(found, entry)
        except SourceBroken as error:
            found.broken = str(error)
        return found

    def _read(self, file: BinaryIO, prefix: bytes, read: int) -> Entry | None:
        if len(prefix) < PREFIX.size:
            raise self._broken("it was cut short", read)
        try:
            length = body_bytes(prefix)
            body = file.read(length)
            if len(body) == length:
                return unpack(prefix, body)
        except SourceBroken as error:
            raise self._broken(str(error), read) from None
        raise self._broken("it was cut short", read)

    def _broken(self, why: str, read: int) -> SourceBroken:
        return SourceBroken(f"{_shown(self.path)} breaks off after {read} entries ({why})")


def _count(found: Contents, entry: Entry) -> None:
    match entry:
        case Frame(header=header, image=image):
            found.frames[header.camera] += 1
            first_us = found.times_us.get(header.camera, (header.pts_us,))[0]
            found.times_us[header.camera] = first_us, header.pts_us
            found.frame_bytes += len(image)
        case Result():
            found.results += 1
        case Reject():
            found.rejects += 1
        case Began():
            found.began = found.began or entry
        case Ended():
            found.ended = entry


def _opened(path: Path) -> BinaryIO:
    """The file, behind its first line."""
    try:
        # A pipe that nobody writes would otherwise wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, ValueError):
        raise SourceMissing(f"{_shown(path)} does not exist") from None
    except OSError as error:
        raise SourceUnreadable(f"{_shown(path)} cannot be read: {(error.strerror or '').lower()}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceUnreadable(f"{_shown(path)} is no file: name one that facestream record wrote")
    file = os.fdopen(descriptor, "rb")
    try:
        _check_beginning(path, file)
    except BaseException:
        file.close()
        raise
    return file


def _check_beginning(path: Path, file: BinaryIO) -> None:
    line = file.readline(len(MAGIC) + 12)
    version = line[len(MAGIC) : -1]
    if not line.startswith(MAGIC) or not line.endswith(b"\n") or not version.isdigit():
        raise SourceUnreadable(f"{_shown(path)} is no recording: facestream record makes them")
    if int(version) > VERSION:
        raise SourceUnreadable(
            f"{_shown(path)} is a recording of version {int(version)}, this release reads {VERSION}: upgrade"
        )


def _shown(path: Path) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(path))
