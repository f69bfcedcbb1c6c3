"""The part of a camera's picture that counts: polygons in fractions of it, so that no resolution matters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from facestream.errors import UsageError

Point = tuple[float, float]
Ring = tuple[Point, ...]
Bounds = tuple[float, float, float, float]

MIN_POINTS: Final = 3
MAX_POINTS: Final = 64
MAX_MASKS: Final = 16
# A hundred-thousandth of a picture is less than a pixel, and keeps what is stored short.
_DIGITS: Final = 5
_MIN_AREA: Final = 1e-6
_WHOLE: Final[Ring] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
_NUMBER = re.compile(r"[0-9]{0,3}\.?[0-9]{0,20}")


@dataclass(frozen=True, slots=True)
class Polygon:
    """3 to 64 points (x, y) in order around it, from 0, 0 at the top left to 1, 1 at the bottom right.

    Raises UsageError for points outside of the picture, edges that cross, or no area.
    """

    points: Ring

    def __post_init__(self) -> None:
        if not MIN_POINTS <= len(self.points) <= MAX_POINTS:
            raise UsageError(
                f"a polygon has {MIN_POINTS} to {MAX_POINTS} points, this one {len(self.points)}"
            )
        for point in self.points:
            if not all(math.isfinite(part) and 0 <= part <= 1 for part in point):
                raise UsageError(
                    f"the point {point[0]:g},{point[1]:g} lies outside of the picture: "
                    "0,0 is its top left, 1,1 its bottom right"
                )
        rounded = tuple((round(x, _DIGITS), round(y, _DIGITS)) for x, y in self.points)
        object.__setattr__(self, "points", rounded)
        edges = list(self._edges())
        if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in edges)) / 2 < _MIN_AREA:
            raise UsageError("the polygon has no area: its points lie on one line")
        for first in range(len(edges)):
            for second in range(first + 1, len(edges)):
                if _cross(*edges[first], *edges[second]):
                    raise UsageError("the polygon's edges cross: give its points in order around it")

    @property
    def bounds(self) -> Bounds:
        """Left, top, right, bottom."""
        return _bounds_of(self.points)

    def to_list(self) -> list[list[float]]:
        return _listed(self.points)

    def to_text(self) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)

    def _edges(self) -> Iterator[tuple[Point, Point]]:
        return _edges_of(self.points)


@dataclass(frozen=True, slots=True)
class Zone:
    """What of a picture counts: within `include`, None for all of it, and in none of `exclude`.

    Rings are a polygon's points, in fractions of the picture; their edges belong to them. They may cross
    themselves: what lies between is then outside.
    """

    include: Ring | None = None
    exclude: tuple[Ring, ...] = ()

    def covers(self, x: float, y: float) -> bool:
        if self.include is not None and not contains(self.include, x, y):
            return False
        return not any(contains(mask, x, y) for mask in self.exclude)

    def to_map(self) -> dict[str, object]:
        fields: dict[str, object] = {"exclude": [_listed(mask) for mask in self.exclude]}
        return fields if self.include is None else {"include": _listed(self.include)} | fields

    @property
    def bounds(self) -> Bounds:
        """Left, top, right, bottom of what is included."""
        return _bounds_of(self.include or _WHOLE)


def contains(ring: Ring, x: float, y: float) -> bool:
    """Whether a point lies in a polygon or on its edge; the polygon need not be convex."""
    inside = False
    for a, b in _edges_of(ring):
        side = _side(a, b, (x, y))
        if side == 0 and min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1]):
            return True
        # A ray to the right: an edge counts with its upper end and without its lower one, so that a corner
        # that it passes through counts once.
        if (a[1] > y) != (b[1] > y) and (side > 0) == (b[1] > a[1]):
            inside = not inside
    return inside


def read_polygon(value: object) -> Polygon:
    """From `"0,0 1,0 1,0.5"` or `[[0, 0], [1, 0], [1, 0.5]]`; raises UsageError."""
    if isinstance(value, str):
        value = [pair.split(",") for pair in value[: _most_text()].split()]
        value = [[_number(part) for part in pair] for pair in value]
    if not isinstance(value, Sequence) or not all(map(_is_point, value[: MAX_POINTS + 1])):
        raise UsageError('a polygon is points such as "0,0 1,0 1,0.5", in fractions of width and height')
    if len(value) > MAX_POINTS:
        raise UsageError(f"a polygon has {MIN_POINTS} to {MAX_POINTS} points, this one {len(value)}")
    return Polygon(tuple((float(x), float(y)) for x, y in cast("Sequence[Point]", value)))


def read_zone(value: object) -> Zone:
    """From what `to_map` gives, which may be a stranger's; raises UsageError for what is out of bounds."""
    if not isinstance(value, Mapping):
        raise UsageError("a zone is a map of include and exclude")
    include, exclude = value.get("include"), value.get("exclude", [])
    if not isinstance(exclude, list) or len(exclude) > MAX_MASKS:
        raise UsageError(f"exclude is a list of at most {MAX_MASKS} polygons")
    return Zone(None if include is None else _ring(include), tuple(_ring(mask) for mask in exclude))


def _most_text() -> int:
    return 32 * (MAX_POINTS + 1)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and text not in ("", ".") else None


def _is_point(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    return all(type(part) in (int, float) and abs(part) < 1000 for part in value)


def _ring(value: object) -> Ring:
    if not isinstance(value, list) or not MIN_POINTS <= len(value) <= MAX_POINTS:
        raise UsageError(f"a polygon is a list of {MIN_POINTS} to {MAX_POINTS} points")
    if not all(_is_point(point) and 0 <= point[0] <= 1 and 0 <= point[1] <= 1 for point in value):
        raise UsageError("a point is two numbers from 0 to 1")
    return tuple((round(float(x), _DIGITS), round(float(y), _DIGITS)) for x, y in value)


def _listed(ring: Ring) -> list[list[float]]:
    return [list(point) for point in ring]


def _bounds_of(ring: Ring) -> Bounds:
    xs, ys = zip(*ring, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _edges_of(ring: Ring) -> Iterator[tuple[Point, Point]]:
    return zip(ring, ring[1:] + ring[:1], strict=True)


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the edges a-b and c-d cross in a point inside of both."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, point: Point) -> float:
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
