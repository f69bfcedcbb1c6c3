"""The way to the broker and back, gone by another thread while the loop computes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from facestream.bus.taker import Delivery, Outcome, Taker


@dataclass(frozen=True, slots=True)
class Errand:
    """What came of one way: how many frames ended, which were brought back, and the seconds of both."""

    ended: int
    commit_seconds: float
    brought: list[Delivery]
    take_seconds: float


class Line:
    """Brings outcomes to the broker and frames back; errands go one after the other.

    No more than `batch_size` frames are in hand, as ever: of 8, four are computed while the outcomes of the
    four before go out and, when they have ended, four others come in. A worker that waits for each of these
    loses a twentieth to a tenth of its rate.
    """

    def __init__(self, bus: Taker, batch_size: int) -> None:
        self._bus = bus
        self.part_size = max(1, batch_size // 2)
        self._goes_ahead = batch_size > 1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="line")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def take(self, wait_seconds: float) -> list[Delivery]:
        """With empty hands: the next frames, waited for."""
        return self._bus.take(self.part_size, wait_seconds)

    def send(
        self, outcomes: Sequence[Outcome], holding: Sequence[Delivery], *, may_fetch: bool
    ) -> Future[Errand]:
        """End those frames and, where more are likely to wait, fetch others while `holding` are computed.

        A frame that was tried before is computed when all else has ended: should it kill us, it kills alone.
        """
        is_first = all(each.attempts == 1 for each in holding)
        # Fewer than asked for: nothing else waited a moment ago, and asking again costs the broker.
        fetches = may_fetch and self._goes_ahead and is_first and len(holding) == self.part_size
        errand = self._thread.submit(self._go, outcomes, holding, self.part_size if fetches else 0)
        if not is_first:
            errand.result()
        return errand

    def _go(self, outcomes: Sequence[Outcome], holding: Sequence[Delivery], fetch: int) -> Errand:
        began = time.perf_counter()
        ended = self._bus.commit(outcomes)
        committed = time.perf_counter()
        brought = self._bus.take(fetch, 0, holding) if fetch else []
        return Errand(ended, committed - began, brought, time.perf_counter() - committed)
