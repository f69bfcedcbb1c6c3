"""A broker that goes away while a run goes on."""

from __future__ import annotations

import time

from facestream.errors import BusUnavailable
from facestream.runner.progress import Progress

PAUSE_SECONDS = 0.2


class Outage:
    """Says once that the broker is away, and once that it is back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._is_on = False

    def outwait(self, error: BusUnavailable) -> None:
        if not self._is_on:
            self._progress.say(f"{error}; waiting for it")
        self._is_on = True
        time.sleep(PAUSE_SECONDS)

    def is_over(self) -> None:
        if self._is_on:
            self._progress.say("the broker is back")
        self._is_on = False
