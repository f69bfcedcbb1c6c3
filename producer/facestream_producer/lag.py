"""How far the reading of a live stream has fallen behind it."""

from __future__ import annotations

from facestream_producer.source import MICROSECONDS

# The camera's clock may run this much slower than ours before it is taken for a lag.
_DRIFT = 0.01
# A lag that does not shrink for so long is none: the camera's times jumped.
_PATIENCE_SECONDS = 5.0


class Lag:
    """Arrival times against presentation times: what came fastest so far is taken to have had none."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._least: float | None = None
        self._asked = 0.0
        self._over_since: float | None = None

    def seconds(self, at_us: int, now: float) -> float:
        """How late a packet of this presentation time is, at the monotonic time `now`."""
        delay = now - at_us / MICROSECONDS
        if self._least is None:
            self._least, self._asked = delay, now
        self._least = min(delay, self._least + (now - self._asked) * _DRIFT)
        self._asked = now
        late = delay - self._least
        if late < self._limit:
            self._over_since = None
        elif self._over_since is None:
            self._over_since = now
        elif now - self._over_since > _PATIENCE_SECONDS:
            self._least, self._over_since, late = delay, None, 0.0
        return late
