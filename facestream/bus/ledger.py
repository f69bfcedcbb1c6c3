"""Reading the ledger: every frame's one end, beside what is measured in the broker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from facestream.bus.connection import Connection

AGE_BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A difference that was explained: frames of each identity, why, and when in ms since the epoch."""

    at_ms: int
    at_source: int
    after: int
    reason: str


@dataclass(slots=True)
class Ledger:
    """The counts of one camera, or the sum of several.

    `in_flight` is the measured length of the frames stream, of which `in_hand_of_workers` are taken; both
    were read in the same step as the counts. `ages` counts results by the least bound in ms that held
    them ("inf" beyond the last). `settled…`: differences that an operator has explained and booked.
    """

    camera: str = ""
    epoch: int = 0
    state: str = ""
    seq: int = -1
    captured: int = 0
    in_hand_of_producer: int = 0
    published: int = 0
    results: int = 0
    dropped_at_source: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    in_hand_of_workers: int = 0
    oldest_ms: int | None = None
    ages: dict[str, int] = field(default_factory=dict)
    age_sum_ms: int = 0
    settled_at_source: int = 0
    settled: int = 0
    settlements: tuple[Settlement, ...] = ()

    @property
    def source_difference(self) -> int:
        """captured less (published + dropped at source + in the producer's hands + settled)."""
        return self.captured - (
            self.published
            + sum(self.dropped_at_source.values())
            + self.in_hand_of_producer
            + self.settled_at_source
        )

    @property
    def broker_difference(self) -> int:
        """published less (results + dropped + in flight + settled): 0 when it closes."""
        return self.published - (self.results + sum(self.dropped.values()) + self.in_flight + self.settled)

    @property
    def closes(self) -> bool:
        return self.source_difference == 0 and self.broker_difference == 0


def read_ledgers(connection: Connection, cameras: Iterable[str] | None = None) -> list[Ledger]:
    """The ledgers of the named cameras, or of all; each read in one step with what it is checked against."""
    names = sorted(all_cameras(connection)) if cameras is None else list(cameras)
    return [read_ledger(connection, camera) for camera in names]


def all_cameras(connection: Connection) -> set[str]:
    """Every camera that ever published here."""
    keys = connection.keys
    return {
        member.decode(errors="replace")
        for partition in range(keys.partitions)
        for member in connection.read("SMEMBERS", keys.cameras(partition))
    }


def read_ledger(connection: Connection, camera: str) -> Ledger:
    keys = connection.keys
    names = [keys.ledger(camera), keys.frames(camera), keys.unread(camera)]
    in_flight, in_hand, oldest, flat = connection.call("look", names, [])
    texts = [text.decode(errors="replace") for text in flat]
    ledger = _parse(camera, dict(zip(texts[::2], texts[1::2], strict=True)))
    ledger.in_flight, ledger.in_hand_of_workers = in_flight, in_hand
    ledger.oldest_ms = int(oldest.split(b"-")[0]) if oldest else None
    return ledger


def settle(connection: Connection, camera: str, reason: str) -> tuple[int, int]:
    """Book what the camera's ledger does not explain; the frames booked, at the source and after."""
    keys = connection.keys
    at_source, after = connection.call("settle", [keys.ledger(camera), keys.frames(camera)], [reason])
    return at_source, after


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """All cameras as one."""
    whole = Ledger(camera="all")
    for ledger in ledgers:
        whole.captured += ledger.captured
        whole.in_hand_of_producer += ledger.in_hand_of_producer
        whole.published += ledger.published
        whole.results += ledger.results
        whole.in_flight += ledger.in_flight
        whole.in_hand_of_workers += ledger.in_hand_of_workers
        whole.age_sum_ms += ledger.age_sum_ms
        whole.settled_at_source += ledger.settled_at_source
        whole.settled += ledger.settled
        for mine, theirs in (
            (whole.dropped_at_source, ledger.dropped_at_source),
            (whole.dropped, ledger.dropped),
            (whole.ages, ledger.ages),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
    return whole


def _parse(camera: str, fields: dict[str, str]) -> Ledger:
    def number(name: str) -> int:
        return int(fields.get(name, 0))

    ledger = Ledger(
        camera=camera,
        epoch=number("epoch"),
        state=fields.get("state", ""),
        seq=int(fields.get("seq", -1)),
        captured=number("captured") + number("past:captured"),
        in_hand_of_producer=number("in_hand"),
        published=number("published"),
        results=number("results"),
        age_sum_ms=number("age_sum_ms"),
        settled_at_source=number("settled_at_source"),
        settled=number("settled"),
        settlements=tuple(Settlement(**each) for each in json.loads(fields.get("settlements", "[]"))),
    )
    for name, value in fields.items():
        kind, _, rest = name.removeprefix("past:").partition(":")
        group = {"src": ledger.dropped_at_source, "drop": ledger.dropped, "age": ledger.ages}.get(kind)
        if group is not None and rest:
            group[rest] = group.get(rest, 0) + int(value)
    return ledger
