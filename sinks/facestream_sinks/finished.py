"""Finished files of results: named by when they began, compressed if asked, the oldest deleted."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path


class Finished:
    """The files beside the growing one, such as results-20261127T205801Z-0.jsonl.gz, in order of time.

    keep_files, keep_bytes: the oldest are deleted until no more are there; None keeps all. Raises OSError.
    """

    def __init__(
        self, active: Path, *, compress: bool, keep_files: int | None, keep_bytes: int | None
    ) -> None:
        self._active, self._compress = active, compress
        self._keep_files, self._keep_bytes = keep_files, keep_bytes
        stem, suffix = re.escape(active.stem), re.escape(active.suffix)
        self._name = re.compile(rf"{stem}-([0-9]{{8}}T[0-9]{{6}}Z)-([0-9]+){suffix}(\.gz)?")
        self._tidy()

    def add(self, began_at: float) -> Path:
        """Give the growing file a name of its own; it is whole under it, or not there at all."""
        stamp = datetime.fromtimestamp(began_at, UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 1 + max((n for when, n, _ in self._found() if when == stamp), default=-1)
        path = self._active.with_name(f"{self._active.stem}-{stamp}-{number}{self._active.suffix}")
        self._active.rename(path)
        _sync_folder(path.parent)
        self._tidy()
        return path

    def paths(self) -> list[Path]:
        """Oldest first."""
        return [path for _, _, path in self._found()]

    def _tidy(self) -> None:
        """Compress what is not, which a full disk puts off, and delete what is too much."""
        if self._compress:
            with contextlib.suppress(OSError):
                for path in self.paths():
                    if path.suffix != ".gz":
                        _compress(path)
        found = [(path, path.stat().st_size) for path in self.paths()]
        total = sum(size for _, size in found)
        for index, (path, size) in enumerate(found):
            left = len(found) - index
            too_many = self._keep_files is not None and left > self._keep_files
            too_large = self._keep_bytes is not None and total > self._keep_bytes
            if not (too_many or too_large):
                return
            path.unlink(missing_ok=True)
            total -= size

    def _found(self) -> list[tuple[str, int, Path]]:
        matches = ((self._name.fullmatch(path.name), path) for path in self._active.parent.iterdir())
        return sorted((match[1], int(match[2]), path) for match, path in matches if match)


def _compress(path: Path) -> None:
    partial, whole = path.with_name(f".{path.name}.gz.part"), path.with_name(f"{path.name}.gz")
    try:
        with path.open("rb") as plain, partial.open("wb") as file:
            partial.chmod(os.fstat(plain.fileno()).st_mode & 0o777)
            with gzip.GzipFile(path.name, "wb", 6, file, mtime=0) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(whole)
        _sync_folder(path.parent)
        path.unlink()
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
