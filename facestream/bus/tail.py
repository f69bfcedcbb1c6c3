"""Following results or rejects without a group: for whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from facestream.bus.connection import MAX_BLOCK_SECONDS, Connection
from facestream.contract import (
    AudienceMap,
    RejectMap,
    ResultMap,
    TrackMap,
    unpack_audience,
    unpack_reject,
    unpack_result,
    unpack_track,
)
from facestream.errors import FrameRefused

_PAGE = 256
_POLL_SECONDS = 0.02

T = TypeVar("T")
Fields = dict[bytes, bytes]
Entries = list[tuple[bytes, Fields]]


class Tail(Generic[T]):
    """Every entry from now on, or with `earlier` the last so many of each stream before that too.

    `unreadable` counts the entries that were not of the contract.
    """

    def __init__(
        self,
        connection: Connection,
        streams: Sequence[str],
        unpack: Callable[[Fields], T],
        *,
        earlier: int = 0,
        page: int = _PAGE,
    ) -> None:
        self._connection, self._unpack, self._page = connection, unpack, page
        self._after = {stream: self._start(stream, earlier) for stream in streams}
        self.unreadable = 0

    def read(self, wait_seconds: float) -> list[T]:
        """What has come since the last read, in the broker's order; waits for something at most that long."""
        if self._connection.is_cluster:
            return self._poll(wait_seconds)
        wait_ms = max(1, int(min(wait_seconds, MAX_BLOCK_SECONDS) * 1000))
        return self._read(list(self._after), "BLOCK", wait_ms)

    def _poll(self, wait_seconds: float) -> list[T]:
        """A cluster refuses one read over several slots: each stream by itself, again and again."""
        deadline = time.monotonic() + wait_seconds
        while True:
            items = [item for stream in self._after for item in self._read([stream])]
            if items or time.monotonic() >= deadline:
                return items
            time.sleep(_POLL_SECONDS)

    def _read(self, streams: list[str], *options: object) -> list[T]:
        after = [self._after[stream] for stream in streams]
        reply = self._connection.read("XREAD", "COUNT", self._page, *options, "STREAMS", *streams, *after)
        return [item for stream, entries in stream_pairs(reply) for item in self._unpack_all(stream, entries)]

    def _unpack_all(self, stream: str, entries: Entries) -> Iterator[T]:
        for entry, fields in entries:
            self._after[stream] = entry.decode()
            try:
                yield self._unpack(fields)
            except FrameRefused:
                self.unreadable += 1

    def _start(self, stream: str, earlier: int) -> str:
        """The id after which to begin: the newest, or the one before the last `earlier`."""
        newest: Entries = self._connection.read("XREVRANGE", stream, "+", "-", "COUNT", earlier + 1)
        return newest[earlier][0].decode() if len(newest) > earlier else "0-0"


def tail_results(connection: Connection) -> Tail[ResultMap]:
    return Tail(connection, results_streams(connection), lambda fields: unpack_result(packed_in(fields)))


def tail_rejects(connection: Connection, *, earlier: int = 0) -> Tail[RejectMap]:
    streams = rejects_streams(connection)
    return Tail(connection, streams, lambda fields: unpack_reject(packed_in(fields)), earlier=earlier)


def tail_tracks(connection: Connection, *, earlier: int = 0) -> Tail[TrackMap]:
    keys = connection.keys
    streams = [keys.tracks(partition) for partition in range(keys.partitions)]
    return Tail(connection, streams, lambda fields: unpack_track(packed_in(fields)), earlier=earlier)


def tail_audience(connection: Connection, *, earlier: int = 0) -> Tail[AudienceMap]:
    keys = connection.keys
    streams = [keys.audience(partition) for partition in range(keys.partitions)]
    return Tail(connection, streams, lambda fields: unpack_audience(packed_in(fields)), earlier=earlier)


def results_streams(connection: Connection) -> list[str]:
    return [connection.keys.results(partition) for partition in range(connection.keys.partitions)]


def rejects_streams(connection: Connection) -> list[str]:
    return [connection.keys.rejects(partition) for partition in range(connection.keys.partitions)]


def packed_in(fields: Fields) -> bytes:
    return fields.get(b"r", b"")


def stream_pairs(reply: object) -> Iterator[tuple[str, Entries]]:
    """The driver's answer to XREAD, which is a dict or a list of pairs by protocol version."""
    pairs = reply.items() if isinstance(reply, dict) else reply or []
    for stream, entries in pairs:  # type: ignore[attr-defined]
        # RESP3 wraps each stream's entries in one more list.
        yield stream.decode(), entries[0] if entries and isinstance(entries[0], list) else entries
