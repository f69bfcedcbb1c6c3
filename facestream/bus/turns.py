"""Waiting for a camera's turn: in one partition, in several on one server, or all over a cluster."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from facestream.bus.connection import MAX_BLOCK_SECONDS, Connection
from facestream.errors import BusError, BusUnavailable

Turn = tuple[int, bytes]
"""A partition, and the camera that was popped from its line, in whatever bytes."""

_RETRY_SECONDS = 0.5


class Turns(Protocol):
    def wait(self, seconds: float) -> Turn | None:
        """The next camera whose turn has come, or None; raises BusError when the broker went away."""

    def close(self) -> None:
        """Stop listening."""


def listen(connection: Connection) -> Turns:
    """The cheapest way to wait on all partitions of this broker at once."""
    kind = EachByThread if connection.is_cluster else AllAtOnce
    return kind(connection, range(connection.keys.partitions))


class AllAtOnce:
    """One blocking pop over the lines of all partitions: what one server allows."""

    def __init__(self, connection: Connection, partitions: Sequence[int]) -> None:
        self._connection = connection
        self._lines = {connection.keys.ready(partition): partition for partition in partitions}

    def wait(self, seconds: float) -> Turn | None:
        popped = self._connection.read("BZPOPMIN", *self._lines, min(seconds, MAX_BLOCK_SECONDS))
        return (self._lines[popped[0].decode()], popped[1]) if popped else None

    def close(self) -> None:
        pass


class EachByThread:
    """A blocking pop in each partition: a cluster refuses one over several slots.

    A pop cannot be called back. One that succeeds when nobody waits any more puts its camera at the
    head of the line again, so that an idle worker elsewhere has it at once.
    """

    def __init__(self, connection: Connection, partitions: Sequence[int]) -> None:
        self._connection = connection
        self._turns: queue.SimpleQueue[Turn | BusError] = queue.SimpleQueue()
        self._change = threading.Condition()
        self._is_waiting = self._is_closed = False
        self._threads = [
            threading.Thread(target=self._follow, args=(partition,), name=f"turns-{partition}", daemon=True)
            for partition in partitions
        ]
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> Turn | None:
        with self._change:
            self._is_waiting = True
            self._change.notify_all()
        try:
            turn = self._turns.get(timeout=seconds)
        except queue.Empty:
            turn = None
        finally:
            with self._change:
                self._is_waiting = False
        if isinstance(turn, BusError):
            raise turn
        return turn

    def close(self) -> None:
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    def _follow(self, partition: int) -> None:
        line = AllAtOnce(self._connection, [partition])
        while self._wait_until_wanted():
            try:
                turn = line.wait(MAX_BLOCK_SECONDS)
                if turn is not None and not self._offer(turn):
                    keys = self._connection.keys
                    self._connection.call("requeue", [keys.ready(partition)], [turn[1]])
            except Exception as error:
                # Closing the driver under a blocked call makes it fail in ways of its own.
                if self._is_closed:
                    return
                self._offer(error if isinstance(error, BusError) else BusUnavailable(f"{error}"))
                threading.Event().wait(_RETRY_SECONDS)

    def _wait_until_wanted(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._is_waiting or self._is_closed)
            return not self._is_closed

    def _offer(self, turn: Turn | BusError) -> bool:
        """Give it to whoever waits; False when nobody does."""
        with self._change:
            if not self._is_waiting:
                return False
            self._is_waiting = False
            self._turns.put(turn)
            return True
