"""Tells the broker where this worker's metrics are, so that `facestream ps` can tell Prometheus."""

from __future__ import annotations

import socket
import time

from facestream.bus.addresses import announce
from facestream.bus.connection import Connection
from facestream.errors import BusRefused, BusUnavailable
from facestream.log import Say
from facestream_worker.hooks import Hooks

AGAIN_SECONDS = 30.0
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 (compared with, not listened on)


class Announcing(Hooks):
    """Says it when the worker has joined, and now and then, since the broker may forget.

    A broker that does not take it is told of once with `say`, and the work goes on.
    """

    def __init__(self, connection: Connection, worker: str, address: str, say: Say) -> None:
        self._connection, self._worker, self._address, self._say = connection, worker, address, say
        self._next_at, self._has_said = float("inf"), False

    def joined(self, broker_forgot: bool) -> None:
        self._next_at = 0.0

    def turned(self) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + AGAIN_SECONDS
        try:
            announce(self._connection, self._worker, self._address)
        except BusUnavailable:
            pass  # the loop will notice, and join again
        except BusRefused as error:
            self._next_at = float("inf")
            if not self._has_said:
                text = f"facestream ps cannot know where this worker's metrics are: {error}"
                self._say(text, event="announce", level="warning", reason=str(error))
            self._has_said = True


def address_of(host: str, port: int) -> str:
    """What others are to ask for: an address for all of this machine stands for the machine's name."""
    shown = socket.gethostname() if host in _ANY else host
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"
