"""Where everything lies in the broker; docs/contract.md lists the keys for people."""

from __future__ import annotations

from functools import cache
from zlib import crc32

from redis.crc import key_slot

SLOTS = 16_384


@cache
def partition_tag(partition: int, partitions: int) -> str:
    """The first whole number whose cluster slot lies in this partition's equal share of the slots.

    Plain 0, 1, 2 … do not spread: of {0}, {1}, {2} none lands on the first of three even masters.
    """
    first, end = partition * SLOTS // partitions, (partition + 1) * SLOTS // partitions
    number = 0
    while not first <= key_slot(str(number).encode()) < end:
        number += 1
    return str(number)


class Keys:
    """The key names under one prefix, spread over a number of partitions."""

    def __init__(self, prefix: str, partitions: int) -> None:
        self.prefix, self.partitions = prefix, partitions
        self.meta = f"{prefix}:meta"
        self._bases = [f"{prefix}:{{{partition_tag(p, partitions)}}}:" for p in range(partitions)]
        self.about = self._bases[0] + "about"

    def partition(self, camera: str) -> int:
        return crc32(camera.encode()) % self.partitions

    def base(self, partition: int) -> str:
        """What all keys of a partition begin with; the scripts build per-camera keys from it."""
        return self._bases[partition]

    def frames(self, camera: str) -> str:
        return f"{self.base(self.partition(camera))}frames:{camera}"

    def unread(self, camera: str) -> str:
        return f"{self.base(self.partition(camera))}unread:{camera}"

    def ledger(self, camera: str) -> str:
        return f"{self.base(self.partition(camera))}ledger:{camera}"

    def watch(self, camera: str) -> str:
        return f"{self.base(self.partition(camera))}watch:{camera}"

    def record(self, camera: str) -> str:
        """Who may ask to look on may ask to record: no camera's name has a colon in it."""
        return f"{self.watch(camera)}:record"

    def tap(self, camera: str) -> str:
        return f"{self.base(self.partition(camera))}tap:{camera}"

    def cameras(self, partition: int) -> str:
        return self.base(partition) + "cameras"

    def ready(self, partition: int) -> str:
        return self.base(partition) + "ready"

    def held(self, partition: int, worker: str) -> str:
        return f"{self.base(partition)}held:{worker}"

    def orphans(self, partition: int) -> str:
        """What nobody holds any more: `orphans` is no worker's name."""
        return self.held(partition, "orphans")

    def workers(self, partition: int) -> str:
        return self.base(partition) + "workers"

    def sweeper(self, partition: int) -> str:
        return self.base(partition) + "sweeper"

    def results(self, partition: int) -> str:
        return self.base(partition) + "results"

    def results_added(self, partition: int) -> str:
        """How many results there ever were: the newest one's number."""
        return self.base(partition) + "results-added"

    def rejects(self, partition: int) -> str:
        return self.base(partition) + "rejects"

    def tracker(self, partition: int) -> str:
        """In the state broker: who tracks this partition, and all that is known there."""
        return self.base(partition) + "tracker"

    def tracks(self, partition: int) -> str:
        return self.base(partition) + "tracks"

    def audience(self, partition: int) -> str:
        return self.base(partition) + "audience"
