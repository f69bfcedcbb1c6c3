"""Writes a recording: owner-only, never over something, whole up to its last entry whatever happens."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from facestream.errors import FacestreamError, UsageError
from facestream.recording.entries import FIRST_LINE


class RecordingWriter:
    """An open recording of at most `max_bytes`.

    Raises UsageError when the place cannot be written, or something is there already.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self._max_bytes = path, max_bytes
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Pictures of people: for nobody else's eyes from the first byte, and no link is followed.
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            if path.is_symlink() or path.exists():
                raise UsageError(f"{path} is there already: choose another name, or delete it") from None
            reason = error.strerror if isinstance(error, OSError) else "not a file name"
            raise UsageError(f"cannot write {path} ({reason}): choose another -o") from None
        self.bytes = 0
        self._write(FIRST_LINE)

    def add(self, entry: bytes) -> bool:
        """Append a whole entry; False, and nothing is written, where it has no room.

        Raises FacestreamError when the disk is full; what was written before stays, and is whole.
        """
        if self.bytes + len(entry) > self._max_bytes:
            return False
        self._write(entry)
        return True

    def finish(self, entry: bytes) -> None:
        """The last entry, for which there is always room, and everything on the disk."""
        self._write(entry)
        with contextlib.suppress(OSError):  # a file system that cannot
            os.fsync(self._file)

    def close(self, *, keep: bool) -> None:
        """Close the file; one that is not to be kept is deleted."""
        os.close(self._file)
        if not keep:
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.bytes)
            raise FacestreamError(
                f"cannot write {self.path} any more ({error.strerror}): what was recorded before is there; "
                "free some space and record again"
            ) from None
        self.bytes += len(data)
