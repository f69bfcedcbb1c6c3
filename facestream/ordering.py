"""Results in `seq` order again: several workers finish in any order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from facestream.contract import ResultMap

_REMEMBERED = 10_000


class InOrder:
    """Holds back one epoch's results until their turn.

    A frame that ended as a drop leaves a gap that nothing fills: when more than `window` results wait
    behind one, it is given up. A result that comes even later, because the worker that had it died, is
    given at once, out of its turn: late is better than lost. The window should exceed how many frames
    the others finish meanwhile.
    """

    def __init__(self, window: int, first_seq: int = 0) -> None:
        self._window, self._next = window, first_seq
        self._waiting: list[tuple[int, ResultMap]] = []
        self._known: set[int] = set()
        self._given_up: dict[int, None] = {}

    def add(self, result: ResultMap) -> Iterator[ResultMap]:
        """Take one result in; those whose turn has come. A frame that came before is left out."""
        seq = result["seq"]
        if seq in self._given_up:
            del self._given_up[seq]
            yield result
            return
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
        self._give_up(range(max(self._next, seq - _REMEMBERED), seq))
        self._next = seq + 1
        return result

    def _give_up(self, missing: range) -> None:
        self._given_up.update(dict.fromkeys(missing))
        while len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
