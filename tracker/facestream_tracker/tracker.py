"""Faces of one camera, frame by frame in order, made into tracks: pure, and the same on every run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from facestream_tracker.assignment import UNPAIRED, Costs, assign
from facestream_tracker.observation import Frame, Seen, overlap
from facestream_tracker.track import PARTS, SECOND_US, Track

MAX_TRACKS: Final = 512
"""At one time before one camera; who comes beyond that is not tracked."""
LOST_US: Final = 2 * SECOND_US
"""Not found for so long in at least two frames: gone."""
BLIND_US: Final = 10 * SECOND_US
"""Without any frame for so long: nobody can be said to be the one from before."""
# A tentative track has shown nothing yet: a false detection must not wait for the next one in its place.
_FLICKER_US, _MISSED_AT_MOST = 3 * SECOND_US // 5, 2
_UPDATE_US: Final = 2 * SECOND_US
# How far a face may be from where it is expected, in its own sizes: at once, and more with every second.
_REACH, _REACH_PER_SECOND = 0.5, 5.0
_LARGEST_CHANGE: Final = math.log(2)
_DEAR_WHEN_MISSED: Final = 0.5
# What opens a track is surer than what goes on with one.
_OPENING_SCORE: Final = 0.7
_BESIDE_ANOTHER: Final = 0.25


class Change(StrEnum):
    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


@dataclass(slots=True)
class Tracker:
    """Tracks of one camera and epoch. Every face goes to at most one track, by place, size and time alone."""

    tracks: list[Track] = field(default_factory=list)

    def step(self, frame: Frame) -> list[tuple[Change, Track]]:
        """Take a frame that is not older than the one before; what became of which track."""
        changes = self._close(frame.at_us)
        pairs = assign(self._costs(frame))
        for row, column in pairs:
            self.tracks[row].add(frame, frame.faces[column])
        self._miss({row for row, _ in pairs})
        changes += self._close(frame.at_us)
        taken = {column for _, column in pairs}
        self._open(frame, taken)
        changes += self._tell(frame.at_us)
        return changes

    def late(self, frame: Frame) -> None:
        """A frame whose turn is over: its faces count for the tracks that were where they are."""
        taken: set[str] = set()
        for seen in frame.faces:
            track = self._who_was_at(frame, seen, taken)
            if track is not None:
                track.add_late(seen)
                taken.add(track.id)

    def pass_time(self, now_us: int) -> list[tuple[Change, Track]]:
        """Nothing has come for a while: close what is over."""
        for track in self.tracks:
            if now_us - track.last_us > LOST_US:
                track.missed = max(track.missed, _MISSED_AT_MOST)
        return self._close(now_us)

    def close_all(self) -> list[tuple[Change, Track]]:
        closed = [track for track in self.tracks if track.confirmed]
        self.tracks = []
        return [(Change.CLOSED, track) for track in closed]

    def _costs(self, frame: Frame) -> Costs:
        """What each possible pair of track and face costs: distance and change of size."""
        costs: Costs = {}
        sizes = [seen.size for seen in frame.faces]
        for row, track in enumerate(self.tracks):
            seconds = (frame.at_us - track.last_us) / SECOND_US
            x, y = track.expected(seconds)
            own = (track.width * track.height) ** 0.5
            reach = min(_REACH + _REACH_PER_SECOND * seconds, UNPAIRED)
            dear = min(_DEAR_WHEN_MISSED, 0.1 * track.missed)
            for column, seen in enumerate(frame.faces):
                size = (own + sizes[column]) / 2
                if abs(seen.x - x) > reach * size:
                    continue
                far = math.hypot(seen.x - x, seen.y - y) / size
                if far > reach:
                    continue
                change = abs(math.log(sizes[column] / own))
                cost = far + change + dear
                if change <= _LARGEST_CHANGE and cost < UNPAIRED:
                    costs[row, column] = cost
        return costs

    def _miss(self, found: set[int]) -> None:
        if len(found) < len(self.tracks):
            for row, track in enumerate(self.tracks):
                if row not in found:
                    track.missed += 1

    def _close(self, now_us: int) -> list[tuple[Change, Track]]:
        over = [track for track in self.tracks if _is_over(track, now_us)]
        if not over:
            return []
        self.tracks = [track for track in self.tracks if track not in over]
        return [(Change.CLOSED, track) for track in over if track.confirmed]

    def _open(self, frame: Frame, taken: set[int]) -> None:
        if len(taken) == len(frame.faces):
            return
        known = [frame.faces[column] for column in taken]
        for column, seen in enumerate(frame.faces):
            if column in taken or seen.score < _OPENING_SCORE or len(self.tracks) >= MAX_TRACKS:
                continue
            if not any(overlap(seen, other) > _BESIDE_ANOTHER for other in known):
                self.tracks.append(Track.begin(frame, seen))

    def _tell(self, now_us: int) -> list[tuple[Change, Track]]:
        """Who has just been confirmed, and who was not spoken of for a while."""
        changes = []
        for track in self.tracks:
            if track.confirmed and track.last_us == now_us and not track.told:
                changes.append((Change.OPENED, track))
            elif track.told and track.last_us == now_us and now_us - track.told_us >= _UPDATE_US:
                changes.append((Change.UPDATED, track))
            else:
                continue
            track.told, track.told_us = track.told + 1, now_us
        return changes

    def _who_was_at(self, frame: Frame, seen: Seen, taken: set[str]) -> Track | None:
        near = ((self._distance(track, frame, seen), track.id, track) for track in self.tracks)
        far, _, track = min((each for each in near if each[1] not in taken), default=(2.0, "", None))
        return track if far <= _REACH else None

    def _distance(self, track: Track, frame: Frame, seen: Seen) -> float:
        """How far a face is from where a track was then, in face sizes; it must have been there."""
        if not track.first_us <= frame.at_us <= track.last_us:
            return math.inf
        _, left, top, width, height = track.near(frame.at_us)
        x, y = (left + width / 2) / PARTS * frame.width, (top + height / 2) / PARTS * frame.height
        return math.hypot(seen.x - x, seen.y - y) / seen.size

    def pack(self) -> list[Any]:
        return [track.pack() for track in self.tracks]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Self:
        return cls([Track.unpack(track) for track in packed])

    def __iter__(self) -> Iterator[Track]:
        return iter(self.tracks)


def _is_over(track: Track, now_us: int) -> bool:
    away_us = now_us - track.last_us
    if away_us > BLIND_US:
        return True
    lost_us = LOST_US if track.confirmed else _FLICKER_US
    return away_us > lost_us and track.missed >= _MISSED_AT_MOST
