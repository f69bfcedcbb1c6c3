"""The results file: one JSON object a line."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from facestream.contract import ResultMap
from facestream.errors import UsageError
from facestream.json_line import json_line

STDOUT = "-"
READER_LEFT = "nobody reads it any more"


class JsonLines:
    """Appends whole lines to an open file, whatever happens to the disk.

    A disk that fills up is said once and ends the writing, not the run: `failed` is then the reason.
    `read_again`: the path under which a child that inherits `descriptor` finds what was written, None
    for what cannot be read twice.
    """

    def __init__(
        self, name: str, descriptor: int, tell: Callable[[str], None], read_again: str | None = None
    ) -> None:
        self.name = name
        self.descriptor = descriptor
        self.read_again = read_again
        self.failed: str | None = None
        self._tell = tell
        self._lines = self._bytes = 0

    def write(self, results: Iterable[ResultMap]) -> None:
        """Raises BrokenPipeError when this is a pipe that nobody reads any more."""
        if self.failed is not None:
            return
        try:
            for result in results:
                self._write_line(json_line(result).encode() + b"\n")
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        if self.name == STDOUT:
            return
        try:
            os.close(self.descriptor)
        except OSError as error:
            self._fail(error)

    def _write_line(self, line: bytes) -> None:
        left = memoryview(line)
        while left:
            left = left[os.write(self.descriptor, left) :]
        self._lines, self._bytes = self._lines + 1, self._bytes + len(line)

    def _fail(self, error: OSError) -> None:
        if self.failed is not None:
            return
        self.failed = error.strerror or str(error)
        with contextlib.suppress(OSError):  # in a pipe or a device the line that broke off stays
            os.ftruncate(self.descriptor, self._bytes)
        kept = f"{self._lines} results are there, the run goes on without"
        self._tell(
            f"facestream: cannot write {self.name} any more ({self.failed}): {kept}; "
            "free some space and run again"
        )


def open_results(path: Path, tell: Callable[[str], None]) -> JsonLines:
    """The results file, emptied, or standard output for `-`; raises UsageError for an unusable place."""
    if str(path) == STDOUT:
        sys.stdout.flush()
        return JsonLines(STDOUT, sys.stdout.fileno(), tell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise UsageError(f"cannot write {path} ({reason}): choose another --out") from None
    is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    return JsonLines(str(path), descriptor, tell, str(path) if is_file else None)


def passing_results(tell: Callable[[str], None]) -> JsonLines:
    """A results file without a name: it is gone with this process, however that ends."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    return JsonLines("the passing results", descriptor, tell, f"/dev/fd/{descriptor}")
