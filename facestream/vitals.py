"""Whether a process is ready for work, and whether its loops still turn: told to whoever asks over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

PULSE_SECONDS: Final = 60.0
"""A loop that has not turned for so long is stuck; what a worker held is another's by then."""


class Health:
    """What a process lacks before it can work, and which of its loops have stopped turning.

    It is ready when nothing is lacking and no loop is stuck, and healthy while no loop is stuck: that a
    broker is away is no reason to start the process anew. lacking: what it lacks at its start, by name, in
    words that say why not. refresh: asked before readiness is judged, by a process that only looks when
    somebody wants to know. Any thread may tell or ask anything.
    """

    def __init__(
        self,
        lacking: Mapping[str, str] | None = None,
        *,
        refresh: Callable[[], None] | None = None,
        pulse_seconds: float = PULSE_SECONDS,
    ) -> None:
        self._lacking, self._refresh, self._pulse_seconds = dict(lacking or {}), refresh, pulse_seconds
        self._turned_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def lack(self, what: str, why: str) -> None:
        with self._lock:
            self._lacking[what] = why

    def have(self, what: str) -> None:
        if what in self._lacking:  # asked for every frame: no lock where nothing changes
            with self._lock:
                self._lacking.pop(what, None)

    def beat(self, loop: str) -> None:
        """The loop has turned; from its first beat on it is expected to turn again in time."""
        self._turned_at[loop] = time.monotonic()

    def rest(self, loop: str) -> None:
        """The loop is over, and no longer watched."""
        self._turned_at.pop(loop, None)

    @contextmanager
    def during(self, work: str) -> Iterator[None]:
        """Work that has to end within the time of a pulse, however many begin it meanwhile."""
        self._turned_at.setdefault(work, time.monotonic())
        try:
            yield
        finally:
            self.rest(work)

    def stuck(self) -> str:
        """Why the process is not healthy, in one line; empty when it is."""
        now = time.monotonic()
        late = sorted(
            f"{loop} has not turned for {now - at:.0f} s"
            for loop, at in self._turned_at.copy().items()
            if now - at > self._pulse_seconds
        )
        return "; ".join(late)

    def unready(self) -> str:
        """Why the process is not ready, in one line; empty when it is."""
        if self._refresh is not None:
            self._refresh()
        with self._lock:
            lacking = list(self._lacking.values())
        return "; ".join([*lacking, *filter(None, [self.stuck()])])
