"""facestream: frames in, faces out, every frame accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from facestream.errors import FacestreamError, ResultsMissed
    from facestream.results.async_reader import AsyncResultReader
    from facestream.results.reader import ResultReader
    from facestream.results.result import Face, Result

__all__ = ["AsyncResultReader", "Face", "FacestreamError", "Result", "ResultReader", "ResultsMissed"]

_HOMES = {
    "AsyncResultReader": "facestream.results.async_reader",
    "Face": "facestream.results.result",
    "FacestreamError": "facestream.errors",
    "Result": "facestream.results.result",
    "ResultReader": "facestream.results.reader",
    "ResultsMissed": "facestream.errors",
}


def __getattr__(name: str) -> Any:
    """What programs use of this package, loaded when it is asked for: commands start without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
