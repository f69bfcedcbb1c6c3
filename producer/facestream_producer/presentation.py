"""Where the pictures of a stream lie in the time of its source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from facestream_producer.source import MICROSECONDS


@dataclass(slots=True)
class Presentation:
    """Places a stream's own times on the source's: from `base_us`, and never decreasing.

    receipt: the stream has no times worth having; its pictures are placed when they arrive.
    step_us: how far apart pictures are placed of which nothing is known.
    """

    base_us: int
    receipt: bool = False
    step_us: int = 40_000
    last_us: int | None = None
    _shift_us: int | None = None

    def guess(self, pts: int | None, time_base: Fraction | None, received_us: int) -> int | None:
        """Where a picture will be placed, unless the stream's times jump; None: nobody knows."""
        own = self._own_us(pts, time_base, received_us)
        return None if own is None or self._shift_us is None else own + self._shift_us

    def place(self, pts: int | None, time_base: Fraction | None, received_us: int) -> int:
        """The place of the next picture, in the order in which they are shown."""
        own = self._own_us(pts, time_base, received_us)
        follows = self.base_us if self.last_us is None else self.last_us + self.step_us
        if own is None:
            at = follows
        elif self._shift_us is None:
            self._shift_us, at = follows - own, follows
        else:
            at = own + self._shift_us
            if self.last_us is not None and at < self.last_us:
                # By a little it is out of order; by more the stream's times began again.
                if self.last_us - at > 2 * self.step_us:
                    self._shift_us, at = follows - own, follows
                else:
                    at = self.last_us
        self.last_us = at
        return at

    def _own_us(self, pts: int | None, time_base: Fraction | None, received_us: int) -> int | None:
        if self.receipt:
            return received_us
        if pts is None or not time_base:
            return None
        return pts * time_base.numerator * MICROSECONDS // time_base.denominator
