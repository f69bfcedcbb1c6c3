"""Holds the answers of one analyser against another's, on the portraits of the package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facestream_models.analyser import Analyser
from facestream_models.faces import UNKNOWN, Attribute, Estimates, Faces, Labels
from facestream_models.portraits import PORTRAITS, portrait_bytes
from facestream_models.scaling import resized

Image = NDArray[np.uint8]

# What bfloat16 may differ by, over faces from 20 to 220 pixels; a wrong kernel differs by far more. Seen on a
# Xeon of 2023: boxes overlap by 0.99 and more, scores differ by 0.001, probabilities by 0.013 on average (and
# by 0.25 on one dark face that float32 is not sure of either), years by 0.8. What such differences do to
# accuracy is measured on thousands of faces, in docs/models.md.
LEAST_OVERLAP = 0.85
MOST_SCORE = 0.05
MOST_MEAN_PROBABILITY = 0.05
MOST_YEARS = 3.0

HEIGHTS_PX = (320, 160, 80, 40)
WIDTH_PX, HEIGHT_PX = 640, 120
GREY = 96


@dataclass(slots=True)
class Agreement:
    """The worst that was seen over all pictures; of labels, the sum of differences and how many turned."""

    pictures: int = 0
    faces: int = 0
    miscounted: int = 0
    overlap: float = 1.0
    score: float = 0.0
    probabilities: float = 0.0
    labels: int = 0
    turned: int = 0
    years: float = 0.0

    @property
    def holds(self) -> bool:
        return (
            self.faces > 0
            and not self.miscounted
            and self.overlap >= LEAST_OVERLAP
            and self.score <= MOST_SCORE
            and not self.turned
            and self.mean_probability <= MOST_MEAN_PROBABILITY
            and self.years <= MOST_YEARS
        )

    @property
    def mean_probability(self) -> float:
        return self.probabilities / max(1, self.labels)

    def __str__(self) -> str:
        if self.miscounted:
            return f"another number of faces in {self.miscounted} of {self.pictures} pictures"
        return (
            f"on {self.faces} faces boxes overlap by {self.overlap:.2f} or more, {self.turned} labels turned "
            f"over, probabilities differ by {self.mean_probability:.3f}"
        )


def compare(exact: Analyser, other: Analyser) -> Agreement:
    """How far `other` is from `exact`, which loads the same models."""
    agreement = Agreement()
    for picture in pictures():
        _count(agreement, exact(picture), other(picture))
    return agreement


def pictures() -> Iterator[Image]:
    """Both portraits and their mirror images side by side, in four sizes, each also in half the light."""
    portraits = [_decoded(name) for name in PORTRAITS]
    for height in HEIGHTS_PX:
        row = [resized(each, height / each.shape[0]) for each in portraits]
        row += [np.asarray(each[:, ::-1]) for each in row]
        scene = np.full((max(height, HEIGHT_PX), max(WIDTH_PX, sum(each.shape[1] for each in row)), 3), GREY)
        picture = scene.astype(np.uint8)
        left = 0
        for each in row:
            picture[: each.shape[0], left : left + each.shape[1]] = each
            left += each.shape[1]
        yield picture
        yield picture // 2


def _decoded(name: str) -> Image:
    image = cv2.imdecode(np.frombuffer(portrait_bytes(name), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)


def _count(agreement: Agreement, exact: Faces, other: Faces) -> None:
    agreement.pictures += 1
    if len(exact) != len(other):
        agreement.miscounted += 1
        return
    agreement.faces += len(exact)
    # Scores that are nearly the same may change places: faces of both are put in order from left to right.
    left, right = (np.argsort(faces.boxes[:, 0], kind="stable") for faces in (exact, other))
    for a, b in zip(left, right, strict=True):
        agreement.overlap = min(agreement.overlap, _overlap(exact.boxes[a], other.boxes[b]))
        agreement.score = max(agreement.score, abs(float(exact.scores[a] - other.scores[b])))
        for role, answer in exact.attributes.items():
            _count_answer(agreement, answer, other.attributes[role], int(a), int(b))


def _count_answer(agreement: Agreement, exact: Attribute, other: Attribute, a: int, b: int) -> None:
    if isinstance(exact, Labels) and isinstance(other, Labels):
        agreement.labels += 1
        agreement.probabilities += abs(float(exact.scores[a] - other.scores[b]))
        both = {exact.labels[a], other.labels[b]}
        agreement.turned += len(both) == 2 and UNKNOWN not in both
    elif isinstance(exact, Estimates) and isinstance(other, Estimates):
        years = abs(float(exact.years[a] - other.years[b]))
        agreement.years = max(agreement.years, 0.0 if np.isnan(years) else years)


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Shared area over that of both together."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    return shared / max(float(one[2:].prod() + other[2:].prod()) - shared, 1e-9)
