"""Pauses between tries: growing, bounded, and never in step with anybody else's."""

from __future__ import annotations

import random


class Backoff:
    """Each pause is twice the last up to `most_seconds`, give or take half of it."""

    def __init__(self, first_seconds: float, most_seconds: float) -> None:
        self._first, self._most = first_seconds, most_seconds
        self._pause = first_seconds

    def next_seconds(self) -> float:
        pause = self._pause
        self._pause = min(pause * 2, self._most)
        return pause * random.uniform(0.5, 1.5)

    def reset(self) -> None:
        """The last try succeeded."""
        self._pause = self._first
