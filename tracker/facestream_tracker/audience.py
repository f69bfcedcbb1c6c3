"""How many came, minute by minute of capture time: each minute said once in passing, and once for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from facestream.contract import MINUTE_US, AudienceMap, PassagesMap, PresentMap
from facestream_tracker.observation import LABELS, UNKNOWN
from facestream_tracker.track import SECOND_US, Track
from facestream_tracker.tracker import BLIND_US

PROVISIONAL_US: Final = BLIND_US
"""After its end a minute waits for so long before it is said: by then it is known who has left in it."""
FINAL_US: Final = 2 * MINUTE_US
"""And for so long until it is said for good: a result that is later than that changes nothing any more."""
SLOT_US: Final = 5 * SECOND_US
SLOTS: Final = MINUTE_US // SLOT_US
MAX_PEOPLE: Final = 5_000
"""Of one minute before one camera, that are told apart."""
_VERSION: Final = 1


@dataclass(slots=True)
class Minute:
    """people: track → label, of all that were seen. left: track → seconds it was there, of those whose last
    sight was in this minute. lines: name → [entries, exits]. slots: a bit for every 5 s that had a frame.
    """

    people: dict[str, str] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)
    slots: int = 0
    said: bool = False


@dataclass(slots=True)
class Audience:
    """One camera's minutes that can still change. turns: how often its clock went back to what was final.

    minutes: by the number of the minute since 1970. closed: the newest that is final. due_us: when the next
    has something to say.
    """

    camera: str
    least_group: int = 1
    minutes: dict[int, Minute] = field(default_factory=dict)
    closed: int = -1
    turns: int = 0
    due_us: int = 0

    def mark(self, at_us: int) -> None:
        """There was a frame, in its turn."""
        number = at_us // MINUTE_US
        minute = self.minutes.get(number)
        if minute is None:
            minute = self._begin(number)
        minute.slots |= 1 << (at_us % MINUTE_US // SLOT_US)

    def mark_late(self, at_us: int) -> bool:
        """There was a frame that nobody waited for any longer; False when its minute is final."""
        minute = self.minutes.get(at_us // MINUTE_US)
        if minute is not None:
            minute.slots |= 1 << (at_us % MINUTE_US // SLOT_US)
        return minute is not None

    def see(self, track: Track, from_us: int) -> None:
        """Somebody is there since `from_us`."""
        for number in range(from_us // MINUTE_US, track.last_us // MINUTE_US + 1):
            minute = self.minutes.get(number)
            if minute is not None and len(minute.people) < MAX_PEOPLE:
                minute.people[track.id] = _label(track)

    def leave(self, track: Track) -> None:
        self._label(track)
        minute = self.minutes.get(track.last_us // MINUTE_US)
        if minute is not None and track.id in minute.people:
            minute.left[track.id] = (track.last_us - track.first_us) / SECOND_US

    def pass_line(self, line: str, is_entry: bool, at_us: int) -> None:
        minute = self.minutes.get(at_us // MINUTE_US)
        if minute is not None:
            minute.lines.setdefault(line, [0, 0])[0 if is_entry else 1] += 1

    def advance(self, now_us: int, tracks: Iterable[Track], lines: Iterable[str]) -> list[AudienceMap]:
        """What is to be said at this time of the camera; `tracks`: who is there now."""
        if now_us < self.due_us:
            return []
        for track in tracks:
            self._label(track)
        said: list[AudienceMap] = []
        for number in sorted(self.minutes):
            minute, over_us = self.minutes[number], now_us - (number + 1) * MINUTE_US
            if over_us >= FINAL_US:
                said.append(self._say(number, lines, final=True))
                del self.minutes[number]
                self.closed = max(self.closed, number)
            elif over_us >= PROVISIONAL_US and not minute.said:
                said.append(self._say(number, lines, final=False))
                minute.said = True
        self._plan()
        return said

    def finish(self, lines: Iterable[str]) -> list[AudienceMap]:
        """All that is open, for good: its time will not go on."""
        said = [self._say(number, lines, final=True) for number in sorted(self.minutes)]
        self.closed = max([self.closed, *self.minutes])
        self.minutes = {}
        self._plan()
        return said

    def is_final(self, at_us: int) -> bool:
        number = at_us // MINUTE_US
        return number <= self.closed and number not in self.minutes

    def turn_back(self, at_us: int) -> None:
        """The clock went back: what it says again takes the place of what was final."""
        self.turns, self.closed = self.turns + 1, at_us // MINUTE_US - 1

    def _begin(self, number: int) -> Minute:
        minute = self.minutes[number] = Minute()
        self._plan()
        return minute

    def _plan(self) -> None:
        ends = (
            (number + 1) * MINUTE_US + (FINAL_US if minute.said else PROVISIONAL_US)
            for number, minute in self.minutes.items()
        )
        self.due_us = min(ends, default=2**62)

    def _label(self, track: Track) -> None:
        label = _label(track)
        for minute in self.minutes.values():
            if track.id in minute.people:
                minute.people[track.id] = label

    def _say(self, number: int, lines: Iterable[str], *, final: bool) -> AudienceMap:
        minute = self.minutes[number]
        return withheld(
            {
                "v": _VERSION,
                "camera": self.camera,
                "minute_us": number * MINUTE_US,
                "revision": 2 * self.turns + final,
                "final": final,
                "people": len(minute.people),
                "labels": _split(minute.people.values()),
                "left": len(minute.left),
                "left_labels": _split(minute.people[track] for track in minute.left),
                "present_s": _present(minute),
                "lines": _passages(minute, lines),
                "no_data": round(1 - minute.slots.bit_count() / SLOTS, 4),
                "withheld": False,
            },
            self.least_group,
        )

    def pack(self) -> list[Any]:
        minutes = [
            [number, minute.people, minute.left, minute.lines, minute.slots, minute.said]
            for number, minute in self.minutes.items()
        ]
        return [minutes, self.closed, self.turns]

    @classmethod
    def unpack(cls, camera: str, least_group: int, packed: list[Any]) -> Self:
        minutes, closed, turns = packed
        kept = {number: Minute(*plain) for number, *plain in minutes}
        audience = cls(camera, least_group, kept, closed, turns)
        audience._plan()
        return audience


def withheld(figures: AudienceMap, least_group: int) -> AudienceMap:
    """The figures without those of fewer people than `least_group`; nobody is not withheld."""

    def enough(count: int | None) -> bool:
        return count is not None and not 0 < count < least_group

    def split(counts: dict[str, int] | None) -> dict[str, int] | None:
        return counts if counts and all(map(enough, counts.values())) else None

    people, left = enough(figures["people"]), enough(figures["people"]) and enough(figures["left"])
    shown: AudienceMap = {
        **figures,
        "people": figures["people"] if people else None,
        "labels": split(figures["labels"]) if people else None,
        "left": figures["left"] if left else None,
        "left_labels": split(figures["left_labels"]) if left else None,
        "present_s": figures["present_s"] if left else None,
        "lines": {
            name: {
                "entries": passed["entries"] if enough(passed["entries"]) else None,
                "exits": passed["exits"] if enough(passed["exits"]) else None,
            }
            for name, passed in figures["lines"].items()
        },
    }
    shown["withheld"] = shown != figures
    return shown


def _label(track: Track) -> str:
    return track.labels.label or UNKNOWN


def _split(labels: Iterable[str]) -> dict[str, int]:
    counts = Counter(labels)
    return {name: counts[name] for name in (*LABELS, UNKNOWN)}


def _present(minute: Minute) -> PresentMap | None:
    """Of those who left, how long they had been there: half of them no longer than the median."""
    if not minute.left:
        return None
    seconds = sorted(minute.left.values())
    return {"median": round(_at_share(seconds, 0.5), 1), "p90": round(_at_share(seconds, 0.9), 1)}


def _at_share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _passages(minute: Minute, lines: Iterable[str]) -> dict[str, PassagesMap]:
    names = dict.fromkeys([*lines, *minute.lines])
    return {
        name: {"entries": minute.lines.get(name, [0, 0])[0], "exits": minute.lines.get(name, [0, 0])[1]}
        for name in names
    }
