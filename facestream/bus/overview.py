"""Looking on: what waits, who works, what is kept; nothing here writes to the broker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from facestream.bus.agreement import agreement
from facestream.bus.connection import Connection
from facestream.bus.taker import LAPSE_SECONDS

CAMERAS_A_LOOK = 50
_WORKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


class Observer(Connection):
    """A connection that only reads: it founds no deployment, and a full broker does not refuse it.

    Where nobody has published or worked yet, `founded` is False, the incarnation empty and no camera known.
    """

    @property
    def founded(self) -> bool:
        return bool(self.incarnation)

    def read_meta(self) -> dict[str, str]:
        """What the deployment agreed on: contract, partitions, incarnation; empty before anybody began."""
        flat = self.read("HGETALL", self.keys.meta)
        return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in flat.items()}

    def _agree(self, meta: str, partitions: int | None) -> tuple[str, int]:
        raw = cast(dict[bytes, bytes], self._client.hgetall(meta))
        return agreement(raw, self.address, partitions, is_cluster=self.is_cluster)


@dataclass(frozen=True, slots=True)
class PastEpoch:
    """A run of a source that is over: `ended` by its producer, or `killed`; `last_seq` is -1 for none."""

    epoch: int
    state: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One camera now. state: `open`, `ended`, or `killed` (open, but its producer's lease has run out).

    unread: frames nobody has taken. waited_ms: how long the oldest of these has been in the broker.
    earlier: the last few epochs before this one, oldest first.
    """

    camera: str
    epoch: int
    state: str
    seq: int
    holder: str
    unread: int
    waited_ms: int | None
    earlier: tuple[PastEpoch, ...]


@dataclass(slots=True)
class Overview:
    """The broker beside its cameras. in_hand: frames by worker, the dead ones not yet cleared included.

    orphans: frames of dead workers, waiting for the next one. skipped: workers of impossible names.
    """

    used_bytes: int
    max_bytes: int  # 0 for no limit
    results: int = 0
    rejects: int = 0
    orphans: int = 0
    in_hand: dict[str, int] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    skipped: int = 0


def read_standings(connection: Connection, cameras: Iterable[str]) -> dict[str, Standing]:
    """How each camera stands; one whose keys hold something strange is left out."""
    keys, found = connection.keys, {}
    for page in _pages(connection, cameras):
        names = [
            name
            for camera in page
            for name in (keys.ledger(camera), keys.frames(camera), keys.unread(camera))
        ]
        for camera, line in zip(page, connection.call("survey", names, []), strict=True):
            if (standing := _standing(camera, line)) is not None:
                found[camera] = standing
    return found


def read_overview(connection: Connection) -> Overview:
    keys = connection.keys
    servers = connection.info()
    limits = [int(server.get("maxmemory", 0)) for server in servers]
    used = sum(int(server.get("used_memory", 0)) for server in servers)
    overview = Overview(used, sum(limits) if all(limits) else 0)
    for partition in range(keys.partitions):
        names = [keys.workers(partition), keys.results(partition), keys.rejects(partition)]
        results, rejects, orphans, workers = connection.call(
            "muster", [*names, keys.orphans(partition)], [keys.base(partition)]
        )
        overview.results += results
        overview.rejects += rejects
        overview.orphans += orphans
        _count_workers(overview, workers)
    return overview


def _count_workers(overview: Overview, flat: Sequence[Any]) -> None:
    for raw, silent_ms, held in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        name = raw.decode(errors="replace")
        if _WORKER.fullmatch(name) is None:
            overview.skipped += 1
            continue
        overview.in_hand[name] = overview.in_hand.get(name, 0) + held
        if silent_ms <= LAPSE_SECONDS * 1000:
            overview.alive.add(name)


def _pages(connection: Connection, cameras: Iterable[str]) -> Iterator[list[str]]:
    """A few cameras of one partition at a time: no call may keep the broker from its work for long."""
    partitions: dict[int, list[str]] = {}
    for camera in cameras:
        partitions.setdefault(connection.keys.partition(camera), []).append(camera)
    for members in partitions.values():
        for start in range(0, len(members), CAMERAS_A_LOOK):
            yield members[start : start + CAMERAS_A_LOOK]


def _standing(camera: str, line: Sequence[Any]) -> Standing | None:
    if not line:
        return None
    unread, waited_ms, lease_ms = line[:3]
    epoch, state, seq, holder, epochs = (text.decode(errors="replace") for text in line[3:])
    if state == "open" and lease_ms <= 0:
        state = "killed"
    try:
        earlier = tuple(_past(text) for text in epochs.split(",") if text)
        waited = None if waited_ms < 0 else waited_ms
        return Standing(camera, int(epoch or 0), state, int(seq or -1), holder, unread, waited, earlier)
    except ValueError:
        return None


def _past(text: str) -> PastEpoch:
    epoch, state, seq = text.split(":")
    return PastEpoch(int(epoch), state, int(seq))
