"""Writing and hashing the files of the weights store."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from facestream.errors import ModelError

TEMPORARY_SUFFIX = ".tmp"
# A folder of weights may be shared: others read, only the owner writes.
FILE_MODE = 0o644


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `target` at once and whole at the end, or not at all."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=TEMPORARY_SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())
        os.replace(name, target)  # noqa: PTH105 (a Path would say no more)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change the folder; its death frees it. Makes the folder."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as file:
        # Some network file systems have no locks: every file there is still replaced whole.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_temporaries(folder: Path) -> None:
    """Clear what a killed process left; only for who holds the lock."""
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            path.unlink()


@contextmanager
def explaining_disk_errors(folder: Path) -> Iterator[None]:
    """A full disk, or a folder that cannot be written, becomes one ModelError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"cannot write weights to {folder}: {reason}; "
            "make room there, or set FACESTREAM_WEIGHTS to another folder"
        ) from None
