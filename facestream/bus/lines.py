"""Lines to one server for the calls of every frame: the driver's, without what it does around them."""

from __future__ import annotations

from typing import Any

import redis
from redis import exceptions as driver
from redis.connection import ConnectionInterface

try:
    from hiredis import pack_command
except ImportError:  # the driver has its own, which is slower
    pack_command = None  # type: ignore[assignment]

Word = str | bytes | int | float


class Lines:
    """As many lines as threads that speak at once; each is made when it is first needed.

    The driver's own way, from the client's method to its pool, costs a call of the bus three times as much.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        # Lists whose only uses are whole in themselves: no lock.
        self._free: list[ConnectionInterface] = []
        self._all: list[ConnectionInterface] = []

    def ask(self, *words: Word) -> Any:
        """Send one command and return its reply; raises what the driver raises, ResponseError too."""
        line = self._take()
        try:
            packed = [pack_command(words)] if pack_command else line.pack_command(*words)  # type: ignore[arg-type, truthy-function]
            line.send_packed_command(packed, check_health=False)  # type: ignore[no-untyped-call]
            return line.read_response()
        finally:
            # A line that broke has hung up by itself, and connects when it is used again.
            self._free.append(line)

    def close(self) -> None:
        for line in self._all:
            line.disconnect()  # type: ignore[no-untyped-call]

    def _take(self) -> ConnectionInterface:
        try:
            line = self._free.pop()
        except IndexError:
            line = self._pool.make_connection()
            self._all.append(line)
            return line
        if _is_stale(line):
            line.disconnect()  # type: ignore[no-untyped-call]
        return line


def _is_stale(line: ConnectionInterface) -> bool:
    """Whether the server has hung up, or has sent what nobody asked for; a look takes a microsecond."""
    if not line.is_connected:  # to look at it would connect it, and where nobody answers that takes seconds
        return False
    try:
        return bool(line.can_read())
    except (driver.ConnectionError, driver.TimeoutError, OSError):
        return True
