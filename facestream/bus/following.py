"""The results of some partitions, each from a position of one's own; and what a tracker publishes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from facestream.bus.connection import MAX_BLOCK_SECONDS
from facestream.bus.overview import Observer
from facestream.bus.tail import Entries, stream_pairs
from facestream.contract import ResultMap, unpack_result
from facestream.errors import FrameRefused

PAGE: Final = 256
KEEP_SECONDS: Final = 24 * 3600.0
"""How long tracks and audience figures stay for their readers, at most."""
TRACKS_KEPT, AUDIENCE_KEPT = 10_000, 10_000
"""And how many of each, over all partitions."""
_LEAST_KEPT: Final = 500
_A_CALL: Final = 200
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Heard:
    """One entry of a results stream; `result` is None when it is not of the contract."""

    partition: int
    entry: str
    result: ResultMap | None

    @property
    def at_ms(self) -> int:
        """When the broker had it, by its own clock."""
        return int(self.entry.partition("-")[0])

    def missed_after(self, position: str) -> int:
        """How many results between that position and this one were removed unread: they are numbered."""
        before, own = (int(entry.partition("-")[2]) for entry in (position, self.entry))
        return max(0, own - before - 1) if before else 0


class Following:
    """Reads with no group: where each partition was read to is kept beside what became of it."""

    def __init__(self, connection: Observer) -> None:
        self._connection, self._keys = connection, connection.keys

    def read(self, positions: Mapping[int, str], wait_seconds: float) -> list[Heard]:
        """At most PAGE results of each partition after its position; waits for the first of them."""
        if not positions:
            time.sleep(min(wait_seconds, MAX_BLOCK_SECONDS))
            return []
        if self._connection.is_cluster:
            return self._poll(positions, wait_seconds)
        wait_ms = max(1, int(min(wait_seconds, MAX_BLOCK_SECONDS) * 1000))
        return self._read(positions, "BLOCK", wait_ms)

    def now_ms(self, partition: int) -> int:
        """The clock that the entries of this partition are numbered by."""
        return self._say(partition, [], [])

    def announce(self, partition: int, tracks: Sequence[bytes], minutes: Sequence[bytes]) -> None:
        """Publish packed tracks and minutes; said again after a lost reply, with the same keys."""
        for start in range(0, len(tracks), _A_CALL):
            self._say(partition, tracks[start : start + _A_CALL], [])
        for start in range(0, len(minutes), _A_CALL):
            self._say(partition, [], minutes[start : start + _A_CALL])

    def _say(self, partition: int, tracks: Sequence[bytes], minutes: Sequence[bytes]) -> int:
        keys, share = self._keys, self._keys.partitions
        kept = [max(_LEAST_KEPT, most // share) for most in (TRACKS_KEPT, AUDIENCE_KEPT)]
        head = [round(KEEP_SECONDS * 1000), *kept, len(tracks)]
        names = [keys.tracks(partition), keys.audience(partition)]
        return int(self._connection.call("tracker_say", names, [*head, *tracks, *minutes]))

    def _poll(self, positions: Mapping[int, str], wait_seconds: float) -> list[Heard]:
        """A cluster refuses one read over several slots: each stream by itself, again and again."""
        deadline = time.monotonic() + wait_seconds
        while True:
            heard = [each for pair in positions.items() for each in self._read(dict([pair]))]
            if heard or time.monotonic() >= deadline:
                return heard
            time.sleep(_POLL_SECONDS)

    def _read(self, positions: Mapping[int, str], *options: Any) -> list[Heard]:
        streams = {self._keys.results(partition): partition for partition in positions}
        reply = self._connection.read(
            "XREAD", "COUNT", PAGE, *options, "STREAMS", *streams, *positions.values()
        )
        return [each for stream, entries in stream_pairs(reply) for each in _heard(streams[stream], entries)]


def _heard(partition: int, entries: Entries) -> list[Heard]:
    return [Heard(partition, entry.decode(), _result(fields)) for entry, fields in entries]


def _result(fields: dict[bytes, bytes]) -> ResultMap | None:
    try:
        return unpack_result(fields.get(b"r", b""))
    except FrameRefused:
        return None
