"""One person in front of one camera, as far as boxes and times tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

from facestream_tracker.observation import Frame, Seen
from facestream_tracker.votes import LabelVote, YearsMean

SECOND_US: Final = 1_000_000
MAX_PATH: Final = 64
MAX_CROSSINGS: Final = 32
# How much of the newest movement goes into what is expected next; how far ahead it is believed.
_NEWEST_SHARE, _BELIEVED_SECONDS = 0.4, 0.5
_SHORTEST_STEP_SECONDS: Final = 0.02
# A flicker lasts for some frames; who is there is seen three times, or twice where frames are rare.
_OFTEN, _LONG_US = 3, SECOND_US // 5
_RARELY, _LONGER_US = 2, 4 * SECOND_US // 5

PARTS: Final = 10_000
Point = tuple[int, int, int, int, int]
"""When (µs), and where: left, top, width, height, in ten-thousandths of the picture: half as long to keep."""


@dataclass(slots=True)
class Look:
    """The best look at a face: the frame it was in, and where."""

    quality: float
    seq: int
    at_us: int
    box: tuple[float, float, float, float]


@dataclass(slots=True)
class Track:
    """A face from frame to frame. id: `<epoch>.<seq>.<index>` of the face it began with, so never used twice.

    x, y, width, height: the last box, its middle and size, in pixels of the picture as captured. missed:
    frames since then that did not show it. told: how many events said something of it. sides: of each
    line, where it last was clearly beside it. crossings: line, direction and time of the last few.
    minute: the last it was counted in, by its number since 1970.
    """

    id: str
    first_us: int
    last_us: int
    first_seq: int
    last_seq: int
    x: float
    y: float
    width: float
    height: float
    speed_x: float = 0.0
    speed_y: float = 0.0
    missed: int = 0
    observations: int = 0
    confirmed: bool = False
    told: int = 0
    told_us: int = 0
    labels: LabelVote = field(default_factory=LabelVote)
    years: YearsMean = field(default_factory=YearsMean)
    best: Look = field(default_factory=lambda: Look(-1.0, 0, 0, (0.0, 0.0, 0.0, 0.0)))
    path: list[Point] = field(default_factory=list)
    path_step_us: int = 0
    minute: int = -1
    sides: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    crossings: list[tuple[str, str, int]] = field(default_factory=list)

    @classmethod
    def begin(cls, frame: Frame, seen: Seen) -> Self:
        track = cls(
            f"{frame.epoch}.{frame.seq}.{seen.index}",
            *(frame.at_us, frame.at_us, frame.seq, frame.seq),
            *(seen.x, seen.y, seen.width, seen.height),
        )
        track._count(frame, seen)
        return track

    def add(self, frame: Frame, seen: Seen) -> None:
        """It was seen again, in a frame that is not older than the last."""
        seconds = max(_SHORTEST_STEP_SECONDS, (frame.at_us - self.last_us) / SECOND_US)
        self.speed_x += _NEWEST_SHARE * ((seen.x - self.x) / seconds - self.speed_x)
        self.speed_y += _NEWEST_SHARE * ((seen.y - self.y) / seconds - self.speed_y)
        self.x, self.y, self.width, self.height = seen.x, seen.y, seen.width, seen.height
        self.last_us, self.last_seq, self.missed = frame.at_us, frame.seq, 0
        self._count(frame, seen)
        lasted = self.last_us - self.first_us
        often = self.observations >= _OFTEN and lasted >= _LONG_US
        self.confirmed |= often or (self.observations >= _RARELY and lasted >= _LONGER_US)

    def add_late(self, seen: Seen) -> None:
        """It was seen in a frame between others that were taken before: its answers still count."""
        self.observations += 1
        self.labels.add(seen)
        self.years.add(seen)

    def expected(self, seconds: float) -> tuple[float, float]:
        """Where its middle should be so long after it was last seen."""
        ahead = min(seconds, _BELIEVED_SECONDS)
        return self.x + self.speed_x * ahead, self.y + self.speed_y * ahead

    def near(self, at_us: int) -> Point:
        """The point of its path that is nearest in time."""
        return min(self.path, key=lambda point: abs(point[0] - at_us))

    @property
    def began_at(self) -> tuple[float, float, float]:
        """Where it was first: the middle and the height, in fractions of the picture."""
        _, left, top, width, height = self.path[0]
        return (left + width / 2) / PARTS, (top + height / 2) / PARTS, height / PARTS

    def _count(self, frame: Frame, seen: Seen) -> None:
        self.observations += 1
        self.labels.add(seen)
        self.years.add(seen)
        width, height = frame.width, frame.height
        left, top = seen.x - seen.width / 2, seen.y - seen.height / 2
        box = (left / width, top / height, seen.width / width, seen.height / height)
        if seen.quality > self.best.quality:
            self.best = Look(seen.quality, frame.seq, frame.at_us, box)
        left, top, width, height = (int(part * PARTS + 0.5) for part in box)
        self._walk((frame.at_us, left, top, width, height))

    def _walk(self, point: Point) -> None:
        """The newest point is always there; of those before it ever fewer as the path grows long."""
        if len(self.path) > 1 and self.path[-1][0] - self.path[-2][0] < self.path_step_us:
            self.path[-1] = point
        else:
            self.path.append(point)
        if len(self.path) > MAX_PATH:
            self.path = [*self.path[:-1:2], self.path[-1]]
            self.path_step_us = (point[0] - self.path[0][0]) * 2 // MAX_PATH

    def pack(self) -> list[Any]:
        return list(self._packed())

    def _packed(self) -> Iterator[Any]:
        for name in _PLAIN:
            yield getattr(self, name)
        yield from (self.labels.pack(), self.years.pack())
        yield [self.best.quality, self.best.seq, self.best.at_us, self.best.box]
        yield from (self.path, self.sides, self.crossings)

    @classmethod
    def unpack(cls, packed: list[Any]) -> Self:
        *plain, labels, years, best, path, sides, crossings = packed
        return cls(
            **dict(zip(_PLAIN, plain, strict=True)),
            labels=LabelVote.unpack(labels),
            years=YearsMean.unpack(years),
            best=Look(best[0], best[1], best[2], tuple(best[3])),
            path=[tuple(point) for point in path],
            sides={line: tuple(side) for line, side in sides.items()},
            crossings=[tuple(crossing) for crossing in crossings],
        )


_PLAIN: Final = (
    *("id", "first_us", "last_us", "first_seq", "last_seq", "x", "y", "width", "height", "speed_x"),
    *("speed_y", "missed", "observations", "confirmed", "told", "told_us", "path_step_us", "minute"),
)
