"""The lines of registered cameras, looked up when the registry has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from facestream.bus.registry import Registry
from facestream_tracker.partition import Lines

LOOK_SECONDS: Final = 5.0


class RegisteredLines:
    """Camera → its lines; the same object until something has changed. Raises what the registry raises."""

    def __init__(self, open_registry: Callable[[], Registry]) -> None:
        self._open = open_registry
        self._registry: Registry | None = None
        self._lines: Lines = {}
        self._revision, self._look_at = -1, float("-inf")

    def __call__(self) -> Lines:
        if time.monotonic() < self._look_at:
            return self._lines
        self._registry = self._registry or self._open()
        revision = self._registry.revision()
        if revision != self._revision:
            cameras = self._registry.list()
            self._lines = {each.name: each.settings.lines for each in cameras if each.settings.lines}
            self._revision = revision
        self._look_at = time.monotonic() + LOOK_SECONDS
        return self._lines

    def close(self) -> None:
        if self._registry is not None:
            self._registry.close()
