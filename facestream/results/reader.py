"""Results, one after the other, in a plain loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from facestream.bus.link import Link
from facestream.bus.requests import Command, Open, Pause, Request, Steps, Together
from facestream.errors import BusError
from facestream.results.asking import PAGE, Asking, Patience
from facestream.results.inbox import Item
from facestream.results.result import Result

T = TypeVar("T")


class ResultReader(Asking):
    __doc__ = Asking.__doc__

    def _make_link(self, url: str, prefix: str, partitions: int | None) -> None:
        self._link = Link(url, prefix, partitions)
        self._closing, self._running = threading.Event(), threading.RLock()

    def __iter__(self) -> Iterator[Result]:
        """Every result, until `idle_seconds` or `timeout_seconds` are over, or another thread closes this.

        One that was given and not acknowledged, because its loop was left, is given again by the next loop.
        """
        patience, next_item = Patience(self._idle_seconds, self._timeout_seconds), self._session.next
        try:
            while not self._closing.is_set():
                item = next_item()
                if item is None:
                    wait_seconds = patience.left()
                    items = self._run(self._session.read(None, max(0.0, wait_seconds)))
                    if not items:
                        if wait_seconds <= 0:
                            return
                        continue
                    item = items[0]
                    patience.heard()
                if (result := self._result_or_none(item)) is not None:
                    yield result
        finally:
            self._session.put_back()

    def read(self, most: int = PAGE, wait_seconds: float = 1.0) -> list[Item]:
        """Up to `most` results, and a ResultsMissed where some are missing; waits for something so long.

        What the last `read` gave is acknowledged by this one, unless that is done by `acknowledge`. While
        the broker is away nothing comes; raises BusRefused when it will not let us read.
        """
        return self._run(self._session.read(most, wait_seconds)) if not self._closing.is_set() else []

    def connect(self) -> None:
        """Make contact and take the place now, as reading does by itself. Raises BusError."""
        self._run(self._session.connect())

    def acknowledge(self, *results: Result) -> None:
        """These are done. It is said again later where the broker cannot be reached."""
        self._run(self._session.acknowledge(results))

    def close(self) -> None:
        """Acknowledge what is done, and leave. What was not is given to another, or to us the next time.

        Another thread's loop ends by this, when what it waits for has come or after two seconds.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        try:
            self._run(self._session.close())
        finally:
            self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        """Carry out what the session asks for, until it has its answer."""
        with self._running:
            return self._answer(steps)

    def _answer(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                try:
                    reply = self._perform(request)
                except BusError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except BaseException:
            self._session.interrupted()
            raise

    def _perform(self, request: Request) -> Any:
        match request:
            case Command() | Together():
                return self._link.perform(request)
            case Open():
                return self._link.open()
            case Pause(seconds):
                return self._closing.wait(seconds)
