"""Following results or rejects from a moment on, without a group: for whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from facestream.bus.connection import MAX_BLOCK_SECONDS, Connection
from facestream.contract import RejectMap, ResultMap, unpack_reject, unpack_result
from facestream.errors import FrameRefused

_PAGE = 256

T = TypeVar("T")


class Tail(Generic[T]):
    """Every entry that arrives after this was made; `unreadable` counts what was not of the contract."""

    def __init__(self, connection: Connection, streams: list[str], unpack: Callable[[bytes], T]) -> None:
        self._connection, self._unpack = connection, unpack
        self._after = {stream: self._last_id(stream) for stream in streams}
        self.unreadable = 0

    def read(self, wait_seconds: float) -> list[T]:
        """What has come since the last read, in the broker's order; waits for something at most that long."""
        wait_ms = max(1, int(min(wait_seconds, MAX_BLOCK_SECONDS) * 1000))
        names, ids = list(self._after), list(self._after.values())
        reply = self._connection.read("XREAD", "COUNT", _PAGE, "BLOCK", wait_ms, "STREAMS", *names, *ids)
        return [item for stream, entries in _pairs(reply) for item in self._unpack_all(stream, entries)]

    def _unpack_all(self, stream: str, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> Iterator[T]:
        for entry, fields in entries:
            self._after[stream] = entry.decode()
            try:
                yield self._unpack(fields.get(b"r", b""))
            except FrameRefused:
                self.unreadable += 1

    def _last_id(self, stream: str) -> str:
        newest = self._connection.read("XREVRANGE", stream, "+", "-", "COUNT", 1)
        return newest[0][0].decode() if newest else "0-0"


def tail_results(connection: Connection) -> Tail[ResultMap]:
    keys = connection.keys
    return Tail(connection, [keys.results(p) for p in range(keys.partitions)], unpack_result)


def tail_rejects(connection: Connection) -> Tail[RejectMap]:
    keys = connection.keys
    return Tail(connection, [keys.rejects(p) for p in range(keys.partitions)], unpack_reject)


def _pairs(
    reply: list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]] | None,
) -> Iterator[tuple[str, list[tuple[bytes, dict[bytes, bytes]]]]]:
    for stream, entries in reply or []:
        yield stream.decode(), entries
