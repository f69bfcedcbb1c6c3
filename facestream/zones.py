"""The part of a camera's picture that counts: polygons in fractions of it, so that no resolution matters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from facestream.errors import UsageError

Point = tuple[float, float]

MIN_POINTS: Final = 3
MAX_POINTS: Final = 64
MAX_MASKS: Final = 16
# A hundred-thousandth of a picture is less than a pixel, and keeps what is stored short.
_DIGITS: Final = 5
_MIN_AREA: Final = 1e-6
_NUMBER = re.compile(r"[0-9]{0,3}\.?[0-9]{0,20}")


@dataclass(frozen=True, slots=True)
class Polygon:
    """3 to 64 points (x, y) in order around it, from 0, 0 at the top left to 1, 1 at the bottom right.

    Raises UsageError for points outside of the picture, edges that cross, or no area.
    """

    points: tuple[Point, ...]

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
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def to_list(self) -> list[list[float]]:
        return [list(point) for point in self.points]

    def to_text(self) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)

    def _edges(self) -> Iterator[tuple[Point, Point]]:
        return zip(self.points, self.points[1:] + self.points[:1], strict=True)


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


def _most_text() -> int:
    return 32 * (MAX_POINTS + 1)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and text not in ("", ".") else None


def _is_point(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    return all(type(part) in (int, float) and abs(part) < 1000 for part in value)


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the edges a-b and c-d cross in a point inside of both."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, point: Point) -> float:
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
