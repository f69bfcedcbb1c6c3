"""The results file: one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from facestream.contract import ResultMap
from facestream.errors import UsageError


class JsonLines:
    """Appends results to a file or, for `-`, to standard output.

    A disk that fills up is said once and ends the writing, not the run: `failed` is then the reason.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path = path
        self.failed: str | None = None
        self._tell = tell
        self._written = 0
        self._file = self._open(path)

    def write(self, results: Iterable[ResultMap]) -> None:
        if self.failed:
            return
        try:
            for result in results:
                self._file.write(json.dumps(result, separators=(",", ":")) + "\n")
                self._written += 1
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        if self._file is not sys.stdout:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)

    def _open(self, path: Path) -> TextIO:
        if str(path) == "-":
            return sys.stdout
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path} ({error.strerror}): choose another --out") from None

    def _fail(self, error: OSError) -> None:
        if self.failed is None:
            self.failed = error.strerror or str(error)
            self._tell(
                f"cannot write {self.path} any more ({self.failed}): {self._written} results are in it, "
                "the rest goes on without it; free some space and run again"
            )
