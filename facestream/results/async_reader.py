"""Results, one after the other, in an asynchronous loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, TypeVar

from facestream.bus.async_link import AsyncLink
from facestream.bus.requests import Command, Open, Pause, Request, Steps, Together
from facestream.errors import BusError
from facestream.results.asking import PAGE, Asking, Patience
from facestream.results.inbox import Item
from facestream.results.result import Result

T = TypeVar("T")


class AsyncResultReader(Asking):
    __doc__ = Asking.__doc__

    def _make_link(self, url: str, prefix: str, partitions: int | None) -> None:
        self._link = AsyncLink(url, prefix, partitions)
        self._is_closed, self._running = False, asyncio.Lock()

    async def __aiter__(self) -> AsyncIterator[Result]:
        """Every result, until `idle_seconds` or `timeout_seconds` are over.

        One that was given and not acknowledged, because its loop was left, is given again by the next loop.
        """
        patience, next_item = Patience(self._idle_seconds, self._timeout_seconds), self._session.next
        try:
            while not self._is_closed:
                item = next_item()
                if item is None:
                    wait_seconds = patience.left()
                    items = await self._run(self._session.read(None, max(0.0, wait_seconds)))
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

    async def read(self, most: int = PAGE, wait_seconds: float = 1.0) -> list[Item]:
        """Up to `most` results, and a ResultsMissed where some are missing; waits for something so long.

        What the last `read` gave is acknowledged by this one, unless that is done by `acknowledge`. While
        the broker is away nothing comes; raises BusRefused when it will not let us read.
        """
        return [] if self._is_closed else await self._run(self._session.read(most, wait_seconds))

    async def connect(self) -> None:
        """Make contact and take the place now, as reading does by itself. Raises BusError."""
        await self._run(self._session.connect())

    async def acknowledge(self, *results: Result) -> None:
        """These are done. It is said again later where the broker cannot be reached.

        Any task may say so; while another waits for results, that takes up to two seconds.
        """
        await self._run(self._session.acknowledge(results))

    async def aclose(self) -> None:
        """Acknowledge what is done, and leave. What was not is given to another, or to us the next time."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._run(self._session.close())
        finally:
            await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, steps: Steps[T]) -> T:
        """Carry out what the session asks for, until it has its answer; one thing at a time."""
        async with self._running:
            return await self._answer(steps)

    async def _answer(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                try:
                    reply = await self._perform(request)
                except BusError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except BaseException:
            self._session.interrupted()
            raise

    async def _perform(self, request: Request) -> Any:
        match request:
            case Command() | Together():
                return await self._link.perform(request)
            case Open():
                return await self._link.open()
            case Pause(seconds):
                return await asyncio.sleep(seconds)
