"""A worker's side of the bus: join, take, commit, hand back, sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facestream.bus.connection import Connection
from facestream.bus.turns import listen
from facestream.contract import MAX_HEADER_BYTES, MAX_IMAGE_BYTES, DropReason

LAPSE_SECONDS = 3.0
"""A worker that has not been heard of for this long is dead, and what it held is adopted."""
STUCK_SECONDS = 60.0
SWEEP_LEASE_SECONDS = 1.5
"""Shorter than a lapse, so that somebody else sweeps by then; longer than from one sweep to the next."""
REJECTS_KEPT = 10_000
BATCH_BYTES = MAX_IMAGE_BYTES
"""A batch that has so many bytes of pictures is full: one reply has at most this and one more picture."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One frame in a worker's hands, as the broker gave it; nothing in it is believed yet.

    `camera`: as the stream's key has it, in whatever bytes. `image_bytes`: the picture's size; one over
    MAX_IMAGE_BYTES was left in the broker, and `image` is empty.
    """

    camera: bytes
    entry: str
    attempts: int
    header: bytes
    image: bytes
    image_bytes: int
    partition: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a delivery ends: a packed result, or a reason with a packed reject."""

    delivery: Delivery
    payload: bytes
    held_us: int = 0
    reason: DropReason | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long results stay for their readers, and how much memory they may take over all partitions."""

    keep_seconds: float = 3600.0
    bytes: int = 64 << 20


class Taker:
    """One worker's hands. What it takes is its own until committed, released or, when it dies, adopted."""

    def __init__(self, connection: Connection, worker: str, retention: Retention | None = None) -> None:
        self.worker = worker
        self._connection, self._keys = connection, connection.keys
        self._partitions = list(range(connection.keys.partitions))
        self._retention = retention or Retention()
        self._cursors: dict[int, bytes | str] = {}
        self._turns = listen(connection)
        self.next_lapse_seconds = LAPSE_SECONDS
        """After the last sweep: how soon one of the workers it saw will be dead, unless it is heard of."""

    def join(self) -> bool:
        """Say that this worker is here, with empty hands: what it held before a lost reply goes back.

        True when the broker has lost its data since this worker last joined.
        """
        forgot = self.broker_forgot()
        self._release(leaving=False)
        return forgot

    def broker_forgot(self) -> bool:
        """Whether the broker has lost its data since this was last asked; it is founded anew then."""
        return self._connection.lost_its_data()

    def leave(self) -> int:
        """Hand back everything and say goodbye; how many frames that were."""
        self._turns.close()
        return self._release(leaving=True)

    def take(self, batch: int, wait_seconds: float, holding: Sequence[Delivery] = ()) -> list[Delivery]:
        """Up to `batch` frames of one partition, one of each camera in turn; empty after `wait_seconds`.

        A frame that was tried before comes alone, and pictures of BATCH_BYTES together make a batch full.
        holding: what is in hand already and counts towards those bytes; everything else that the broker
        believes to be in hand was lost on its way, and comes again.
        """
        for partition in self._partitions:
            taken = self._take(partition, batch, "", holding)
            if taken:
                self._go_on_after(partition)
                return taken
        turn = self._turns.wait(wait_seconds) if wait_seconds > 0 else None
        return self._take(turn[0], batch, turn[1], holding) if turn else []

    def commit(self, outcomes: Sequence[Outcome]) -> int:
        """End frames of one batch, all in one step; how many ended here and not at another worker's hands."""
        if not outcomes:
            return 0
        partition = outcomes[0].delivery.partition
        arguments: list[Any] = [self._keys.base(partition), self.worker, REJECTS_KEPT]
        for outcome in outcomes:
            delivery = outcome.delivery
            reason = outcome.reason.value if outcome.reason else ""
            arguments += [delivery.camera, delivery.entry, reason, outcome.payload, outcome.held_us]
        keys = self._keys
        return int(
            self._connection.call(
                "commit",
                [keys.held(partition, self.worker), keys.results(partition), keys.rejects(partition)]
                + [keys.workers(partition), keys.results_added(partition)],
                arguments,
            )
        )

    def sweep(self) -> int:
        """Housekeeping where this worker has the lease; how many frames were adopted for all to take."""
        adopted, next_lapse_ms = 0, int(LAPSE_SECONDS * 1000)
        for partition in self._partitions:
            reply = self._sweep(partition)
            if reply:
                self._cursors[partition] = reply[0]
                adopted += reply[1]
                next_lapse_ms = min(next_lapse_ms, reply[3])
        self.next_lapse_seconds = next_lapse_ms / 1000
        return adopted

    def _take(
        self, partition: int, batch: int, popped: bytes | str, holding: Sequence[Delivery] = ()
    ) -> list[Delivery]:
        keys = self._keys
        room_bytes = max(1, BATCH_BYTES - sum(each.image_bytes for each in holding))
        held = [each.camera + b"/" + each.entry.encode() for each in holding if each.partition == partition]
        taken = self._connection.call(
            "take",
            [keys.held(partition, self.worker), keys.orphans(partition)]
            + [keys.ready(partition), keys.workers(partition)],
            [keys.base(partition), self.worker, batch, popped]
            + [MAX_HEADER_BYTES, MAX_IMAGE_BYTES, room_bytes, *held],
        )
        return [
            Delivery(camera, entry.decode(), attempts, header, image, image_bytes, partition)
            for camera, entry, attempts, header, image, image_bytes in taken
        ]

    def _go_on_after(self, partition: int) -> None:
        turn = self._partitions.index(partition) + 1
        self._partitions = self._partitions[turn:] + self._partitions[:turn]

    def _release(self, *, leaving: bool) -> int:
        keys, released = self._keys, 0
        for partition in range(keys.partitions):
            released += self._connection.call(
                "release",
                [keys.held(partition, self.worker), keys.orphans(partition)]
                + [keys.ready(partition), keys.workers(partition)],
                [self.worker, "1" if leaving else ""],
            )
        return released

    def _sweep(self, partition: int) -> list[Any]:
        keys = self._keys
        names = [keys.sweeper(partition), keys.workers(partition), keys.orphans(partition)]
        names += [keys.ready(partition), keys.cameras(partition), keys.results(partition)]
        milliseconds = [int(s * 1000) for s in (SWEEP_LEASE_SECONDS, LAPSE_SECONDS, STUCK_SECONDS)]
        retention = [int(self._retention.keep_seconds * 1000), self._retention.bytes // keys.partitions]
        arguments = [keys.base(partition), self.worker, *milliseconds, *retention]
        cursor = self._cursors.get(partition, "0")
        reply: list[Any] = self._connection.call("sweep", names, [*arguments, cursor])
        return reply
