"""Cameras take turns at the processor, so that none is slowed more than another when there is too little."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from functools import cache

from facestream.cores import usable_cores

# A turn is a courtesy: whoever waited this long goes ahead, whatever became of those before.
PATIENCE_SECONDS = 5.0
# One works while the next is woken.
FEWEST_AT_ONCE = 2


class Turns:
    """Lets so many threads work at once, in the order in which they asked; enter it to wait for a turn.

    Without it threads race for the interpreter, and under load some win three times as often as others.
    """

    def __init__(self, at_once: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._at_once = self._free = at_once
        self._patience_seconds = patience_seconds
        self._waiting: deque[threading.Lock] = deque()
        # Threads at work since when, the longest first.
        self._working: dict[int, float] = {}
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many more may work at once; below zero when some went ahead unasked."""
        return self._free

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def limit(self, at_once: int) -> None:
        """Let so many work at once from now on."""
        with self._lock:
            self._free += at_once - self._at_once
            self._at_once = at_once
            self._pass_on()

    def __enter__(self) -> None:
        self._wait()
        self._working[threading.get_ident()] = time.monotonic()

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            if self._working.pop(threading.get_ident(), None) is not None:
                self._free += 1
                self._pass_on()

    def _wait(self) -> None:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=self._patience_seconds):
            return
        with self._lock:
            if mine in self._waiting:  # else it was given the turn just now
                self._waiting.remove(mine)
                if not self._take_over():
                    self._free -= 1

    def _take_over(self) -> bool:
        """The turn of whoever hangs in it: else every frame of all others would wait for that long."""
        thread, since = next(iter(self._working.items()), (0, math.inf))
        if time.monotonic() - since < self._patience_seconds:
            return False
        del self._working[thread]
        return True

    def _pass_on(self) -> None:
        while self._free > 0 and self._waiting:
            self._free -= 1
            self._waiting.popleft().release()


@cache
def turns() -> Turns:
    """Those of this process: as many at once as it may use cores, unless limited."""
    return Turns(max(FEWEST_AT_ONCE, len(usable_cores())))
