"""What both readers have in common: their options, what is done with missed results, when a loop ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from facestream.bus.connection import MAX_BLOCK_SECONDS
from facestream.errors import ResultsMissed
from facestream.results.inbox import Counts, Item
from facestream.results.positions import Start
from facestream.results.result import Result
from facestream.results.session import Session
from facestream.results.wishes import check_wishes

OnMissed = Literal["log", "raise"] | Callable[[ResultsMissed], object]
PAGE = 128


class Asking:
    """Results of a facestream deployment, as they come.

    Without a `group` every reader sees everything, and keeps its place only as long as it lives. The readers
    of a group share: each result goes to one of them, the place is kept in the broker, and what a reader
    that died had not acknowledged goes to another after `adopt_after_seconds`. All readers of a group
    want the same cameras.

    url: redis://, rediss:// or unix://, as in FACESTREAM_REDIS.
    cameras: their names, None for all.
    consumer: this reader's name in the group, for one that shall take up at once what it had in hand
    when it ended; without it, a name of its own.
    start: `latest`, `earliest`, an entry's id to go on after, a datetime, or a timedelta before now. A group
    has its place already when it is not new: this says where a new one begins.
    auto_acknowledge: a result is acknowledged when the next one is asked for; else by `acknowledge`.
    order_window, order_seconds: results of a camera come in order of `seq`, where none needs to wait
    for more than so many others or so long; a window of 0 gives them as they come.
    on_missed: what a loop does about results that were removed before they were read: `log` (they are
    logged and counted in any case), `raise`, or a function that is called with the ResultsMissed.
    idle_seconds, timeout_seconds: a loop ends when nothing came for so long, or altogether after so long.
    prefix, partitions: of the deployment, where they are not the usual ones.

    Raises UsageError at once for what makes no sense. Contact is made at the first read, or by `connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        group: str | None = None,
        consumer: str | None = None,
        cameras: Iterable[str] | None = None,
        start: Start = "latest",
        auto_acknowledge: bool = True,
        order_window: int = 0,
        order_seconds: float = 2.0,
        adopt_after_seconds: float = 60.0,
        on_missed: OnMissed = "log",
        idle_seconds: float | None = None,
        timeout_seconds: float | None = None,
        prefix: str = "fs",
        partitions: int | None = None,
    ) -> None:
        self._wishes = check_wishes(
            group=group,
            consumer=consumer,
            cameras=cameras,
            start=start,
            auto_acknowledge=auto_acknowledge,
            order_window=order_window,
            order_seconds=order_seconds,
            adopt_after_seconds=adopt_after_seconds,
        )
        self._session = Session(self._wishes)
        self._on_missed = on_missed
        self._idle_seconds, self._timeout_seconds = idle_seconds, timeout_seconds
        self._make_link(url, prefix, partitions)

    def _make_link(self, url: str, prefix: str, partitions: int | None) -> None:
        raise NotImplementedError

    @property
    def group(self) -> str | None:
        return self._wishes.group

    @property
    def consumer(self) -> str:
        """This reader's name in its group."""
        return self._wishes.consumer

    @property
    def counts(self) -> Counts:
        """What this reader has seen so far; it goes on counting."""
        return self._session.counts

    def _result_or_none(self, item: Item) -> Result | None:
        """A result, or None for missed ones, of which the user is told as he wished."""
        if isinstance(item, Result):
            return item
        if self._on_missed == "raise":
            raise item
        if callable(self._on_missed):
            self._on_missed(item)
        return None


class Patience:
    """How long a loop waits, and when it is over."""

    def __init__(self, idle_seconds: float | None, timeout_seconds: float | None) -> None:
        self._idle = float("inf") if idle_seconds is None else idle_seconds
        self._end = time.monotonic() + (float("inf") if timeout_seconds is None else timeout_seconds)
        self._heard_at = time.monotonic()

    def heard(self) -> None:
        self._heard_at = time.monotonic()

    def left(self) -> float:
        """Seconds to wait now; 0 or less when it is over."""
        now = time.monotonic()
        return min(self._heard_at + self._idle - now, self._end - now, MAX_BLOCK_SECONDS)
