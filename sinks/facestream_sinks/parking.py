"""Where records lie that a receiver will never take: a file of JSON Lines, bounded."""

from __future__ import annotations

import json
import os
from pathlib import Path

from facestream.errors import SinkUnavailable
from facestream_sinks.record import Record

MAX_BYTES = 64 << 20


class Parking:
    """Appends refused records to `path`, which is made when the first one comes, for its owner alone."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path, self._max_bytes = path, max_bytes

    def add(self, record: Record, why: str) -> str | None:
        """Put a record away for good; where it lies, None when there is no more room for any.

        Raises SinkUnavailable when the disk does not take it.
        """
        line = b'{"type":"parked","why":%b,"record":%b}\n' % (json.dumps(why).encode(), record.body)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.open(self.path, flags, 0o600)
            try:
                return self._append(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise SinkUnavailable(f"cannot park what was refused in {self.path} ({error.strerror})") from None

    def _append(self, file: int, line: bytes) -> str | None:
        size = os.fstat(file).st_size
        if size + len(line) > self._max_bytes:
            return None
        try:
            if os.write(file, line) != len(line):
                raise OSError(0, "the disk may be full")
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
        return str(self.path)
