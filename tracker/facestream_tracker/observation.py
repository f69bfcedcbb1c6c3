"""What the tracker takes of a result: places, sizes, answers and how far each is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from facestream.contract import ResultMap

MAX_FACES: Final = 256
"""Of one frame, best detection first; the contract allows more, and no camera shows so many."""
LABELS: Final = ("female", "male")
UNKNOWN: Final = "unknown"
# Two boxes that share more than this are one face that was found twice.
_SAME_FACE_OVERLAP: Final = 0.45
_SMALLEST_PX, _LARGE_PX = 16.0, 64.0
# A face in profile is worth little for its label, not nothing: else one who never turns stays unknown.
_LEAST_QUALITY: Final = 0.02


@dataclass(slots=True)
class Seen:
    """One face of one frame, in pixels of the picture as captured.

    index: which face of its result. x, y: the middle of its box. score: the detector's. quality: how good
    a look this was, 0 to 1, by size, sharpness of the detection, and how frontal. label: None where the
    worker did not say, `unknown` where it did not know.
    """

    index: int
    x: float
    y: float
    width: float
    height: float
    score: float
    quality: float
    label: str | None
    label_score: float
    years: float | None
    years_score: float

    @property
    def size(self) -> float:
        return float((self.width * self.height) ** 0.5)


@dataclass(slots=True)
class Frame:
    """One result, as the tracker sees it. at_us: when it was captured; see `time_of`."""

    epoch: int
    seq: int
    at_us: int
    width: int
    height: int
    faces: list[Seen]


def observe(result: ResultMap) -> Frame:
    """From a result that was checked by the contract; boxes that cannot be faces are left out."""
    left, top, region_width, region_height = result["region"]
    across, down = region_width / result["width"], region_height / result["height"]
    wide, high = result["source_width"], result["source_height"]
    faces: list[Seen] = []
    for index, face in enumerate(result["faces"][:MAX_FACES]):
        x, y, width, height = face["box"]
        width, height = width * across, height * down
        x, y = left + x * across + width / 2, top + y * down + height / 2
        if not (0 <= x <= wide and 0 <= y <= high and 1 <= width <= wide and 1 <= height <= high):
            continue
        score = min(1.0, max(0.0, face["score"]))
        quality = _quality(min(width, height), score, face["landmarks"])
        answers: dict[str, Any] = face["attributes"]
        label, label_score = _label(answers.get("gender"))
        years, years_score = _years(answers.get("age"))
        seen = Seen(index, x, y, width, height, score, quality, label, label_score, years, years_score)
        if not any(overlap(seen, other) > _SAME_FACE_OVERLAP for other in faces):
            faces.append(seen)
    return Frame(result["epoch"], result["seq"], time_of(result), wide, high, faces)


def time_of(result: ResultMap) -> int:
    """When a frame was captured, µs since 1970; a file is taken to begin when its epoch did.

    A file is read faster or slower than it was filmed: its own clock, and not the reader's, says how long
    somebody was there.
    """
    if result["clock"] == "file":
        return result["epoch"] + result["pts_us"]
    return result["captured_at_us"]


def overlap(one: Seen, other: Seen) -> float:
    """Of two boxes, what they share over what they cover together."""
    wide = (one.width + other.width) / 2 - abs(one.x - other.x)
    if wide <= 0:
        return 0.0
    high = (one.height + other.height) / 2 - abs(one.y - other.y)
    if high <= 0:
        return 0.0
    shared = min(wide, one.width, other.width) * min(high, one.height, other.height)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _quality(side_px: float, score: float, landmarks: list[list[float]]) -> float:
    size = min(1.0, max(0.1, (side_px - _SMALLEST_PX) / (_LARGE_PX - _SMALLEST_PX)))
    return max(_LEAST_QUALITY, size * score * score * frontalness(landmarks))


def frontalness(landmarks: list[list[float]]) -> float:
    """1 where the nose stands between the eyes, 0 where it stands below one of them or beyond."""
    (right_x, right_y), (left_x, left_y), (nose_x, nose_y) = landmarks[:3]
    along_x, along_y = left_x - right_x, left_y - right_y
    between = along_x * along_x + along_y * along_y
    if not between > 0:
        return 0.0
    # Where the nose falls on the line from eye to eye: 0 at the right one, 1 at the left.
    share = ((nose_x - right_x) * along_x + (nose_y - right_y) * along_y) / between
    return max(0.0, 1.0 - 2.0 * abs(share - 0.5))


def _label(answer: Any) -> tuple[str | None, float]:
    if not isinstance(answer, dict):
        return None, 0.0
    label = answer.get("label")
    return (label if label in LABELS else UNKNOWN), _share(answer.get("score"))


def _years(answer: Any) -> tuple[float | None, float]:
    years = answer.get("years") if isinstance(answer, dict) else None
    if not isinstance(years, int | float) or not 0 <= years <= 150:
        return None, 0.0
    return float(years), _share(answer.get("score"))


def _share(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else 0.0
