"""Evenness in time: which pictures a frame rate limit keeps, and when a recorded one is due."""

from __future__ import annotations

from facestream_producer.source import MICROSECONDS

# A picture this part of an interval before its time is taken: waiting for the next would be further off.
_TOLERANCE = 0.25
# Further ahead than this, a recording's times have jumped: it goes on from here.
_JUMP_SECONDS = 5.0
# Behind by less, a recording catches up.
_LATE_SECONDS = 0.5


class Pacer:
    """Keeps at most `fps` pictures a second, evenly: those nearest a grid of times, never a burst.

    The grid does not drift: out of 25 a second, a limit of 10 keeps 10 and not 8.
    """

    def __init__(self, fps: float) -> None:
        self.interval_us = MICROSECONDS / fps
        self._due_us: float | None = None
        self._last_us: int | None = None
        self._step_us = 0

    def early(self, at_us: int) -> bool:
        """Whether `wanted` will refuse a picture of this time, as far as can be said now. Changes nothing."""
        due = self._due_us
        if due is None or at_us < due - 2 * self.interval_us:  # the clock went back
            return False
        return at_us < due - self._tolerance_us()

    def none_before(self, at_us: int) -> bool:
        """Whether `wanted` will refuse every picture before this time, as far as can be said now."""
        return self.early(at_us - max(1, self._step_us))

    def passed(self, at_us: int) -> None:
        """Tell of a picture for which `wanted` is not asked: how far apart they are matters."""
        if self._last_us is not None:
            self._step_us = max(0, at_us - self._last_us)
        self._last_us = at_us

    def wanted(self, at_us: int) -> bool:
        """Whether to keep the picture presented at this time; to be asked once of each, in order."""
        self.passed(at_us)
        if self.early(at_us):
            return False
        due = at_us if self._due_us is None else self._due_us
        # After a gap, or a clock that went back, the grid begins anew: nothing is made up for.
        if abs(at_us - due) >= self.interval_us:
            due = at_us
        self._due_us = due + self.interval_us
        return True

    def _tolerance_us(self) -> float:
        return min(self._step_us / 2, self.interval_us * _TOLERANCE)


class RealTime:
    """When what was recorded is due, if it is to come at the pace at which it was recorded.

    speed: so many times that pace. jump_seconds: a longer wait than this is none, but times that jumped.
    """

    def __init__(self, speed: float = 1.0, jump_seconds: float = _JUMP_SECONDS) -> None:
        self._speed, self._jump_seconds = speed, jump_seconds
        self._began: float | None = None

    def wait_seconds(self, at_us: int, now: float) -> float:
        """How long to wait, at the monotonic time `now`, before the picture presented at `at_us`.

        A reader who is late is not hurried: the rest comes as much later.
        """
        at = at_us / MICROSECONDS / self._speed
        ahead = 0.0 if self._began is None else self._began + at - now
        if self._began is None or not -_LATE_SECONDS < ahead < self._jump_seconds:
            self._began, ahead = now - at, 0.0
        return max(0.0, ahead)
