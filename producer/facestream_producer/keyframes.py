"""How often a stream's whole pictures come, and when the next one is due."""

from __future__ import annotations

from collections import deque

# A scene that cuts often has more whole pictures than the stream keeps up.
_GAPS = 6
# So many at one distance are a habit, which may end at any time.
_HABIT = 2
_JITTER_US = 20_000


class Keyframes:
    """The times of a stream's whole pictures: from each of them on, decoding can begin anew."""

    def __init__(self) -> None:
        self._last_us: int | None = None
        self._gaps_us: deque[int] = deque(maxlen=_GAPS)

    def note(self, at_us: int | None) -> None:
        if at_us is not None and self._last_us is not None:
            self._gaps_us.append(max(0, at_us - self._last_us))
        self._last_us = at_us

    def suffice(self, interval_us: float) -> bool:
        """Whether the whole pictures alone come often enough, so that no other need be decoded."""
        return len(self._gaps_us) == _GAPS and 2 * max(self._gaps_us) <= interval_us

    @property
    def next_us(self) -> int | None:
        """When the next is likely to be presented; None when they come as they like."""
        if self._last_us is None or len(self._gaps_us) < _HABIT:
            return None
        latest, before = self._gaps_us[-1], self._gaps_us[-2]
        return self._last_us + latest if abs(latest - before) <= _JITTER_US else None
