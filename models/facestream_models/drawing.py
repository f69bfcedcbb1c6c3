"""Faces and what they appear to be, drawn on a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito's palette (BGR): told apart whatever the colour blindness, and bright enough for black text.
COLOURS: Mapping[str, Colour] = {"female": (0, 159, 230), "male": (233, 180, 86), "unknown": (200, 200, 200)}
FOUND: Colour = (115, 158, 0)
INK: Colour = (16, 16, 16)

_FONT = cv2.FONT_HERSHEY_DUPLEX
# Shares of the picture's size, which is the side of the square of its area.
_LINE_SHARE, _TEXT_SHARE, _LEAST_TEXT_SHARE = 1 / 280, 1 / 40, 1 / 85
_LEAST_TEXT_PX = 11
_TINY = 160
# Beyond this many face widths a tag begins to cover the neighbours.
_TAG_WIDTHS = 1.5


@dataclass(frozen=True, slots=True)
class _Rectangle:
    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: _Rectangle) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def inside(self, width: int, height: int) -> bool:
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height


@dataclass(frozen=True, slots=True)
class _Tag:
    """A text with its scale and thickness, and the size in pixels of the filled box it stands in."""

    text: str
    scale: float
    thickness: int
    width: int
    height: int
    padding: int


def draw_faces(image: Image, faces: Sequence[Mapping[str, Any]]) -> Image:
    """A copy of a BGR picture with a box and a label for every face.

    faces: as in a result (docs/contract.md), their boxes in pixels of this picture. Colours: orange female,
    blue male, light grey unknown, green where no gender was asked for. Labels stay inside the picture and
    off one another as far as there is room.
    """
    drawn = np.ascontiguousarray(image).copy()
    size = float(np.sqrt(drawn.shape[0] * drawn.shape[1]))
    line = max(2 if size > _TINY else 1, round(size * _LINE_SHARE))
    boxes = [_box(face, drawn) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        _frame(drawn, box, _colour(face), line)
    taken: list[_Rectangle] = []
    for face, box in zip(faces, boxes, strict=True):
        tag = _tag(list(_texts(face)), size, box, drawn.shape[1])
        if tag is not None:
            place = _place(tag, box, boxes, taken, drawn, line)
            taken.append(place)
            _write(drawn, tag, place, _colour(face))
    return drawn


def _box(face: Mapping[str, Any], image: Image) -> _Rectangle:
    x, y, width, height = (float(number) for number in face["box"])
    bottom, right = image.shape[0] - 1, image.shape[1] - 1
    return _Rectangle(
        int(np.clip(round(x), 0, right)),
        int(np.clip(round(y), 0, bottom)),
        int(np.clip(round(x + width), 0, right)),
        int(np.clip(round(y + height), 0, bottom)),
    )


def _colour(face: Mapping[str, Any]) -> Colour:
    gender = face.get("attributes", {}).get("gender")
    return FOUND if gender is None else COLOURS.get(gender.get("label"), COLOURS["unknown"])


def _texts(face: Mapping[str, Any]) -> Iterator[str]:
    """The label, then shorter ones for where it does not fit."""
    answers = face.get("attributes", {}).values()
    labels = [answer["label"] for answer in answers if "label" in answer]
    years = [f"{answer['years']:.0f}" for answer in answers if answer.get("years") is not None]
    scored = [f"{answer['label']} {_score(answer)}" for answer in answers if "label" in answer]
    if not scored:
        scored = [f"face {_score(face)}"]
    yield _plain(", ".join(scored + years))
    if labels:
        yield _plain(", ".join(labels + years))
        yield _plain(labels[0][:1])


def _score(answer: Mapping[str, Any]) -> str:
    """Rounded down: no model is as sure as 1.00 says."""
    return f"{int(answer['score'] * 100) / 100:.2f}"


def _plain(text: str) -> str:
    """OpenCV's fonts hold ASCII only."""
    return text.encode("ascii", "replace").decode()


def _frame(image: Image, box: _Rectangle, colour: Colour, line: int) -> None:
    # A dark rim around the line keeps it visible on skin, sky and snow.
    rim = line + max(2, 2 * round(line / 3))
    for thickness, paint in ((rim, INK), (line, colour)):
        cv2.rectangle(image, (box.left, box.top), (box.right, box.bottom), paint, thickness, cv2.LINE_AA)


def _tag(texts: list[str], size: float, box: _Rectangle, image_width: int) -> _Tag | None:
    """The longest text that fits the picture, at a size that suits picture and face; None if none fits."""
    largest = max(size * _TEXT_SHARE, _LEAST_TEXT_PX)
    least = max(size * _LEAST_TEXT_SHARE, _LEAST_TEXT_PX)
    for text in texts:
        room = max((box.right - box.left) * _TAG_WIDTHS, 1)
        natural = _measure(text, largest)
        tag = _measure(text, min(max(largest * room / natural.width, least), largest))
        if tag.width <= image_width:
            return tag
    return None


def _measure(text: str, text_px: float) -> _Tag:
    scale = text_px / cv2.getTextSize("Ag0", _FONT, 1.0, 1)[0][1]
    thickness = max(1, round(text_px / 16))
    (width, height), baseline = cv2.getTextSize(text, _FONT, scale, thickness)
    padding = max(2, round(text_px * 0.35))
    return _Tag(text, scale, thickness, width + 2 * padding, height + baseline // 2 + 2 * padding, padding)


def _place(
    tag: _Tag,
    box: _Rectangle,
    boxes: Sequence[_Rectangle],
    taken: Iterable[_Rectangle],
    image: Image,
    line: int,
) -> _Rectangle:
    """Above the face, below it or inside it: the first that is free of labels and, if it can be, of faces."""
    height, width = image.shape[:2]
    starts = (
        box.left - line // 2,
        (box.left + box.right - tag.width) // 2,
        box.right + line // 2 - tag.width,
    )
    lefts = [min(max(start, 0), width - tag.width) for start in starts]
    tops = (box.top - tag.height, box.bottom, box.top, box.bottom - tag.height)
    places = [_Rectangle(left, top, left + tag.width, top + tag.height) for top in tops for left in lefts]
    within = [place for place in places if place.inside(width, height)]
    free = [place for place in within if not any(place.meets(other) for other in taken)]
    others = [other for other in boxes if other is not box]
    clear = [place for place in free if not any(place.meets(other) for other in others)]
    for choice in (clear, free, within):
        if choice:
            return choice[0]
    top = min(max(box.top - tag.height, 0), max(height - tag.height, 0))
    return _Rectangle(lefts[0], top, lefts[0] + tag.width, top + tag.height)


def _write(image: Image, tag: _Tag, place: _Rectangle, colour: Colour) -> None:
    corner = (place.right - 1, place.bottom - 1)
    cv2.rectangle(image, (place.left, place.top), corner, colour, cv2.FILLED)
    (_, height), _ = cv2.getTextSize(tag.text, _FONT, tag.scale, tag.thickness)
    origin = (place.left + tag.padding, place.top + tag.padding + height)
    cv2.putText(image, tag.text, origin, _FONT, tag.scale, INK, tag.thickness, cv2.LINE_AA)
