"""Lines in a camera's picture that people walk across: two named points, in fractions of it.

Stand on the first point and look to the second: who goes from your left hand to your right enters, who
goes from your right to your left leaves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from facestream.errors import UsageError
from facestream.redaction import redact
from facestream.zones import Point

MAX_LINES: Final = 8
# A hundred-thousandth of a picture is less than a pixel.
_DIGITS: Final = 5
_SHORTEST: Final = 0.01
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")
_NUMBER = r"([0-9]{0,3}\.?[0-9]{1,20})"
_TEXT = re.compile(rf"\s*([^:]{{1,64}}):\s*{_NUMBER}\s*,\s*{_NUMBER}\s+{_NUMBER}\s*,\s*{_NUMBER}\s*")
SHAPE: Final = 'a name and two points such as "door: 0.1,0.5 0.9,0.5", in fractions of width and height'


@dataclass(frozen=True, slots=True)
class Line:
    """name: as figures have it. start, end: (x, y) from 0, 0 at the top left to 1, 1 at the bottom right.

    Raises UsageError for a name that is none, a point outside of the picture, or two that are one.
    """

    name: str
    start: Point
    end: Point

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{redact(str(self.name))[:40]!r} is no line's name: lower-case letters, digits, _ and -, "
                "at most 31"
            )
        for point in (self.start, self.end):
            if not all(0 <= part <= 1 for part in point):
                raise UsageError(
                    f"line {self.name}: the point {point[0]:g},{point[1]:g} lies outside of the picture"
                )
        if max(abs(self.start[0] - self.end[0]), abs(self.start[1] - self.end[1])) < _SHORTEST:
            raise UsageError(f"line {self.name}: its two points are one")

    def side(self, x: float, y: float) -> float:
        """How far a point is to the right of the line, in fractions; less than 0 to the left."""
        return _side(self.start, self.end, (x, y)) / math.dist(self.start, self.end)

    def is_crossed(self, before: Point, after: Point) -> bool:
        """Whether the way from one point to another, on its two sides, passes between its ends."""
        if before == after:
            return False
        return _side(before, after, self.start) * _side(before, after, self.end) <= 0

    def to_text(self) -> str:
        return f"{self.name}: {self.start[0]:g},{self.start[1]:g} {self.end[0]:g},{self.end[1]:g}"


def _side(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def read_line(value: object) -> Line:
    """From `"door: 0.1,0.5 0.9,0.5"`; raises UsageError."""
    found = _TEXT.fullmatch(value) if isinstance(value, str) and len(value) < 256 else None
    if found is None:
        raise UsageError(f"a line is {SHAPE}")
    x1, y1, x2, y2 = (round(float(part), _DIGITS) for part in found.groups()[1:])
    return Line(found[1].strip(), (x1, y1), (x2, y2))


def read_lines(value: object) -> tuple[Line, ...]:
    """At most MAX_LINES with names of their own; raises UsageError."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_LINES:
        raise UsageError(f"must be at most {MAX_LINES} lines, each {SHAPE}")
    lines = tuple(each if isinstance(each, Line) else read_line(each) for each in value)
    if len({line.name for line in lines}) < len(lines):
        raise UsageError("two lines have the same name")
    return lines
