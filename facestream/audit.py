"""The ledger held against what is measured: does every frame have its one end?"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from facestream.bus.ledger import Ledger, all_cameras, read_ledger, total
from facestream.bus.overview import Observer, Standing, read_standings
from facestream.errors import BusRefused, UsageError
from facestream.names import is_camera_name

NAMES_SHOWN = 5

SOURCE, BROKER = "source", "broker"
IDENTITIES = {
    SOURCE: "captured = published + dropped at source + in the producer's hands",
    BROKER: "published = results + dropped + in flight",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """An identity of a camera that does not close: left side less right side, in frames, and in words."""

    camera: str
    identity: str
    frames: int
    text: str


@dataclass(slots=True)
class Audit:
    """Each camera's ledger and standing. unreadable: cameras whose ledger is no ledger any more.

    skipped: what the broker lists as cameras and cannot be any.
    """

    ledgers: list[Ledger] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def whole(self) -> Ledger:
        return total(self.ledgers)

    @property
    def differences(self) -> list[Difference]:
        return [difference for ledger in self.ledgers for difference in find_differences(ledger)]

    @property
    def closes(self) -> bool:
        return not self.differences and not self.unreadable


def audit(observer: Observer, wanted: Sequence[str] = ()) -> Audit:
    """Read the cameras named, or all. Raises UsageError, with the nearest name, on one that is not there.

    Each camera is read in one step with what it is checked against, so a running system closes too.
    """
    listed = all_cameras(observer)
    known = sorted(filter(is_camera_name, listed))
    for camera in wanted:
        _check_known(camera, known)
    cameras = list(dict.fromkeys(wanted)) or known
    # This look fails where we have no right to look, and leaves out only what is strange.
    found = Audit(standings=read_standings(observer, cameras), skipped=sorted(listed.difference(known)))
    for camera in cameras:
        try:
            found.ledgers.append(read_ledger(observer, camera))
        except (BusRefused, ValueError):
            found.unreadable.append(camera)
    return found


def find_differences(ledger: Ledger) -> list[Difference]:
    found = []
    if ledger.source_difference:
        found.append(_difference(ledger, SOURCE, ledger.source_difference, _at_source(ledger)))
    if ledger.broker_difference:
        found.append(_difference(ledger, BROKER, ledger.broker_difference, _in_broker(ledger)))
    return found


def to_json(found: Audit) -> dict[str, Any]:
    """One object: the verdict, every camera, all together, and what does not close."""
    return {
        "closes": found.closes,
        "cameras": [_camera_map(ledger, found.standings.get(ledger.camera)) for ledger in found.ledgers],
        "all": _ledger_map(found.whole),
        "differences": [dataclasses.asdict(difference) for difference in found.differences],
        "unreadable": found.unreadable,
        "skipped": found.skipped,
    }


def _check_known(camera: str, known: list[str]) -> None:
    if camera in known:
        return
    if not known:
        hint = "none has published here yet"
    elif near := difflib.get_close_matches(camera, known, n=1, cutoff=0.5):
        hint = f"did you mean {near[0]}?"
    else:
        more = f" and {len(known) - NAMES_SHOWN} more" if len(known) > NAMES_SHOWN else ""
        hint = f"there are {', '.join(known[:NAMES_SHOWN])}{more}"
    raise UsageError(f"no camera is called {camera[:80]!r}: {hint}")


def _difference(ledger: Ledger, identity: str, frames: int, text: str) -> Difference:
    return Difference(ledger.camera, identity, frames, f"{ledger.camera}: {text}")


def _at_source(ledger: Ledger) -> str:
    frames = ledger.source_difference
    if frames > 0:
        return (
            f"{_frames(frames)} captured but neither published, dropped at the source nor in the producer's "
            "hands: its producer lost count of them, or the ledger was changed from outside"
        )
    return (
        f"{_frames(-frames, ' more')} published or dropped at the source than captured: counted twice, or "
        "the ledger was set back by a restart, a failover or a restored snapshot"
    )


def _in_broker(ledger: Ledger) -> str:
    frames = ledger.broker_difference
    if frames > 0:
        text = (
            f"{_frames(frames)} published that {'is' if frames == 1 else 'are'} no result, no counted drop, "
            "and not in the broker: deleted from outside (XDEL, XTRIM, DEL, an eviction), or lost in a "
            "restart or failover"
        )
        if ledger.in_hand_of_workers > ledger.in_flight:
            text += "; workers still hold some of them, and count those as they end"
        return text
    return (
        f"{_frames(-frames, ' more')} ended or in flight than published: added to the stream from outside "
        "(XADD), or the ledger was set back by a restart, a failover or a restored snapshot"
    )


def _frames(count: int, more: str = "") -> str:
    return f"1 frame{more} was" if count == 1 else f"{count:,} frames{more} were"


def _camera_map(ledger: Ledger, standing: Standing | None) -> dict[str, Any]:
    state: dict[str, Any] = {"camera": ledger.camera, "epoch": ledger.epoch, "seq": ledger.seq}
    if standing is not None:
        earlier = [dataclasses.asdict(epoch) for epoch in standing.earlier]
        state |= {"state": standing.state, "holder": standing.holder, "earlier_epochs": earlier}
        state |= {"unread": standing.unread, "oldest_unread_ms": standing.waited_ms}
    return state | _ledger_map(ledger)


def _ledger_map(ledger: Ledger) -> dict[str, Any]:
    return {
        "captured": ledger.captured,
        "in_hand_of_producer": ledger.in_hand_of_producer,
        "published": ledger.published,
        "dropped_at_source": ledger.dropped_at_source,
        "results": ledger.results,
        "dropped": ledger.dropped,
        "in_flight": ledger.in_flight,
        "in_hand_of_workers": ledger.in_hand_of_workers,
        "source_difference": ledger.source_difference,
        "broker_difference": ledger.broker_difference,
        "settled_at_source": ledger.settled_at_source,
        "settled": ledger.settled,
        "settlements": [dataclasses.asdict(settlement) for settlement in ledger.settlements],
        "closes": ledger.closes,
    }
