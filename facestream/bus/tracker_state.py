"""What trackers keep between them: whose a partition is, what is known there, and how far it was read.

One hash a partition in the state broker, `<prefix>:{tag}:tracker`: the lease, the position in the results,
and a snapshot of every camera. The snapshots and the position are written in one step, and only by the
lease's holder: so what is known never runs ahead of what was read, nor behind it, and a tracker that was
taken for dead changes nothing any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from facestream.bus.camera_store import Kept
from facestream.bus.keys import Keys
from facestream.errors import BusRefused
from facestream.names import is_camera_name

LEASE_SECONDS: Final = 3.0
"""A tracker that has not been heard of for so long has lost its partitions to the others."""
BEGINNING: Final = "0-0"
_ENTRY: Final = re.compile("[0-9]{1,20}-[0-9]{1,20}")
_MAX_TRACKERS: Final = 1_000
_CAMERA: Final = b"camera:"

Snapshots = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Holding:
    """What is kept of a partition: `position` is the last result that the snapshots know of."""

    position: str = BEGINNING
    incarnation: str = ""
    snapshots: Snapshots = field(default_factory=dict)


class TrackerState:
    """One tracker's side: `holder` is its name, never used twice."""

    def __init__(self, url: str, keys: Keys, holder: str) -> None:
        self._connection = Kept(url, prefix=keys.prefix)
        self._keys, self.holder = keys, holder
        self._trackers = f"{keys.prefix}:trackers"

    def close(self) -> None:
        self._connection.close()

    def beat(self) -> list[str]:
        """Say that this tracker is alive; the names of all who are."""
        self._beat("beat")
        lapse_ms = round(LEASE_SECONDS * 1000)
        alive = self._connection.call("alive", [self._trackers], [lapse_ms, _MAX_TRACKERS])
        return sorted({name.decode(errors="replace") for name in alive} | {self.holder})

    def leave(self) -> None:
        self._beat("leave")

    def claim(self, partition: int, *, anew: bool = False) -> Holding | bool:
        """Take or renew a partition: what is kept of it when it is newly ours, or wanted `anew`.

        True when it is ours as before, False while another has it.
        """
        arguments = [self.holder, round(LEASE_SECONDS * 1000), "1" if anew else ""]
        said, *flat = self._connection.call("tracker_claim", [self._key(partition)], arguments) or [b""]
        if said != b"taken":
            return bool(said == b"kept")
        return _holding(dict(zip(flat[::2], flat[1::2], strict=True)))

    def save(
        self, partition: int, position: str, incarnation: str, changed: Mapping[str, bytes], *, leaving: bool
    ) -> bool:
        """Write what has changed, b"" for a camera that is forgotten; False when the lease is another's."""
        lease_ms = 0 if leaving else round(LEASE_SECONDS * 1000)
        head = [self.holder, lease_ms, position, incarnation]
        flat = [part for pair in changed.items() for part in pair]
        return bool(self._connection.call("tracker_save", [self._key(partition)], [*head, *flat]))

    def _key(self, partition: int) -> str:
        return self._keys.tracker(partition)

    def _beat(self, action: str) -> None:
        lapse_ms = round(LEASE_SECONDS * 1000)
        if not self._connection.call(
            "beat", [self._trackers], [lapse_ms, _MAX_TRACKERS, action, self.holder]
        ):
            raise BusRefused(
                f"the broker at {self._connection.address} holds something else under {self._trackers}: "
                "another program wrote it; choose another prefix, or delete it"
            )


def _holding(kept: dict[bytes, bytes]) -> Holding:
    snapshots = {
        name.removeprefix(_CAMERA).decode(errors="replace"): packed
        for name, packed in kept.items()
        if name.startswith(_CAMERA)
    }
    position = kept.get(b"position", b"").decode(errors="replace")
    return Holding(
        position if _ENTRY.fullmatch(position) else BEGINNING,
        kept.get(b"incarnation", b"").decode(errors="replace"),
        {name: packed for name, packed in snapshots.items() if is_camera_name(name)},
    )
