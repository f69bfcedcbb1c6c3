"""A folder of pictures as a source: one picture, one frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from facestream.errors import ImageError, SourceBroken, SourceMissing, SourceUnreadable
from facestream_models.images import list_images, read_image, shown
from facestream_producer.source import MICROSECONDS, Clock, Kind, SourceFrame, now_us

# Pictures have no times of their own; this one makes a folder play like a film.
FPS = 25.0
_REMEMBERED = 100


class FolderSource:
    """The pictures of a folder in natural order, or one picture file; see `Source`.

    A picture that cannot be read is counted in `corrupt`, its reason kept in `unreadable` (the first
    hundred), and the rest goes on. Raises SourceMissing or SourceUnreadable when made.
    """

    kind: Kind = "folder"
    live = False
    clock: Clock = "file"
    fps: float | None = FPS

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name or path.absolute().name
        self.corrupt = 0
        self.unreadable: list[str] = []
        self._closed = Event()
        self._pictures = _pictures(path)
        self.length: int | None = len(self._pictures)

    def frames(self) -> Iterator[SourceFrame]:
        self.corrupt = 0
        self.unreadable = []
        given = 0
        for index, path in enumerate(self._pictures):
            if self._closed.is_set():
                return
            try:
                picture = read_image(path)
            except (ImageError, SourceMissing) as error:
                self._miss(str(error))
                continue
            given += 1
            yield SourceFrame(picture, round(index * MICROSECONDS / FPS), now_us())
        if not given:
            raise SourceBroken(self.unreadable[0])

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in self._pictures:
            state = path.stat()
            digest.update(f"{path.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode(errors="replace"))
        return f"folder-{len(self._pictures)}-{digest.hexdigest()}"

    def close(self) -> None:
        self._closed.set()

    def _miss(self, reason: str) -> None:
        self.corrupt += 1
        if len(self.unreadable) < _REMEMBERED:
            self.unreadable.append(reason)


def _pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise SourceMissing(f"{shown(path)} does not exist")
        return [path]
    try:
        found = list_images(path)
    except ImageError as error:
        raise SourceUnreadable(str(error)) from None
    if not found:
        raise SourceUnreadable(f"the folder {shown(path)} holds no picture")
    return found
