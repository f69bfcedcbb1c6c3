"""JSON Lines: one file that grows, and finished ones beside it that never change again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from facestream.errors import FacestreamError, SinkUnavailable, UsageError
from facestream_sinks.finished import Finished
from facestream_sinks.record import Record
from facestream_sinks.sink import Limits

ACTIVE_NAME = "results.jsonl"
_TAIL_BYTES = 1 << 20


class JsonLinesSink:
    """Appends to `path`, or to results.jsonl in the folder `path`, and finishes the file when it is due.

    rotate_bytes: before the file would be larger. rotate_seconds: at each whole multiple of it, UTC, None
    for never. What `deliver` returned from is on the disk. Raises UsageError when the place cannot be used.
    """

    limits = Limits(records=512, bytes=8 << 20)

    def __init__(
        self,
        path: Path,
        finished: Callable[[Path], Finished],
        *,
        rotate_bytes: int,
        rotate_seconds: float | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path / ACTIVE_NAME if path.is_dir() or not path.suffix else path
        self.shown = str(self.path)
        self._rotate_bytes, self._rotate_seconds, self._clock = rotate_bytes, rotate_seconds, clock
        self._file: int | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._finished = finished(self.path)
            self._open()
        except OSError as error:
            raise UsageError(f"cannot write {self.path} ({error.strerror}): choose another place") from None

    def deliver(self, records: Sequence[Record]) -> None:
        data = b"".join(record.body + b"\n" for record in records)
        try:
            file = self._open()
            if self._is_due(len(data)):
                self._finish()
                file = self._open()
            self._append(file, data)
        except OSError as error:
            self._let_go()
            raise SinkUnavailable(
                f"cannot write {self.path} ({error.strerror or error}): nothing is lost while the broker "
                "keeps its results"
            ) from None

    def rest(self) -> None:
        if self._file is not None and self._is_due(0):
            with contextlib.suppress(OSError):  # the next batch says it
                self._finish()

    def close(self) -> None:
        self._let_go()

    def _append(self, file: int, data: bytes) -> None:
        """All of it, on the disk; or nothing of it."""
        size = os.fstat(file).st_size
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(file, left) :]
            os.fsync(file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, size)
            raise

    def _open(self) -> int:
        """The growing file, ours alone, without a line that was broken off when a process died."""
        if self._file is not None:
            return self._file
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        file = os.open(self.path, flags, 0o640)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise UsageError(f"{self.path} is no file: choose another place")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"{self.path} is being written by another sink: choose another") from None
            self._began_at = _mend(file) or self._clock()
        except (OSError, FacestreamError):
            os.close(file)
            raise
        self._file = file
        return file

    def _is_due(self, more_bytes: int) -> bool:
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if not size:
            self._began_at = self._clock()
            return False
        if more_bytes and size + more_bytes > self._rotate_bytes:
            return True
        every = self._rotate_seconds
        return every is not None and self._clock() // every > self._began_at // every

    def _finish(self) -> None:
        """Give the grown file its last name; the next begins empty."""
        file, self._file = self._file, None
        assert file is not None
        try:
            self._finished.add(self._began_at)
        finally:
            os.close(file)  # and its lock, once another may have the name

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _mend(file: int) -> float | None:
    """Cut off a line without an end; when the file was last written, None for one that is empty."""
    size = end = os.fstat(file).st_size
    while end:
        begin = max(0, end - _TAIL_BYTES)
        newline = os.pread(file, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end != size:
        os.ftruncate(file, end)
    return os.fstat(file).st_mtime if end else None
