"""Results in `seq` order again: several workers finish in any order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from facestream.contract import ResultMap


class InOrder:
    """Holds back one epoch's results until their turn.

    A frame that ended as a drop leaves a gap that nothing fills: when more than `window` results wait
    behind one, it is given up. The window must exceed what can be in flight at once, or order is lost.
    """

    def __init__(self, window: int, first_seq: int = 0) -> None:
        self._window, self._next = window, first_seq
        self._waiting: list[tuple[int, ResultMap]] = []
        self._known: set[int] = set()

    def add(self, result: ResultMap) -> Iterator[ResultMap]:
        """Take one result in; those whose turn has come. A frame that came before is left out."""
        seq = result["seq"]
        if seq < self._next or seq in self._known:
            return
        self._known.add(seq)
        heapq.heappush(self._waiting, (seq, result))
        while self._waiting and (self._waiting[0][0] == self._next or len(self._waiting) > self._window):
            yield self._pop()

    def flush(self) -> Iterator[ResultMap]:
        """All that still waits, in order: nothing more will come."""
        while self._waiting:
            yield self._pop()

    def _pop(self) -> ResultMap:
        seq, result = heapq.heappop(self._waiting)
        self._known.discard(seq)
        self._next = seq + 1
        return result
