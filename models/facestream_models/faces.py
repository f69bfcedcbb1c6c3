"""The faces of one picture, as one validated struct of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Labels:
    """A classifier's answer for n faces: a label each and the probability of the best class.

    A face too small or too uncertain to label is `unknown`, with its score kept.
    """

    labels: tuple[str, ...]
    scores: Floats

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.labels),):
            raise ValueError(f"{len(self.labels)} labels but scores of shape {self.scores.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> Labels:
        """The answer for faces `start` to `stop`, the last not included."""
        return Labels(self.labels[start:stop], self.scores[start:stop])

    def to_map(self, index: int) -> dict[str, Any]:
        return {"label": self.labels[index], "score": round(float(self.scores[index]), 4)}


@dataclass(frozen=True, slots=True)
class Estimates:
    """A regressor's answer for n faces, in years; NaN where the face is too small to say.

    `scores`: the share of the model's probability that lies within five years of the estimate.
    """

    years: Floats
    scores: Floats

    def __post_init__(self) -> None:
        if self.years.shape != self.scores.shape or self.years.ndim != 1:
            raise ValueError(f"years of shape {self.years.shape}, scores of shape {self.scores.shape}")

    def __len__(self) -> int:
        return len(self.years)

    def part(self, start: int, stop: int) -> Estimates:
        """The answer for faces `start` to `stop`, the last not included."""
        return Estimates(self.years[start:stop], self.scores[start:stop])

    def to_map(self, index: int) -> dict[str, Any]:
        years = float(self.years[index])
        return {
            "years": None if np.isnan(years) else round(years, 1),
            "score": round(float(self.scores[index]), 4),
        }


Attribute = Labels | Estimates


@dataclass(frozen=True, slots=True)
class Faces:
    """n faces, best detection first, in pixels of the picture they were found in.

    boxes: (n, 4) float32, x, y, width, height, inside the picture.
    scores: (n,) float32, detection score 0..1.
    landmarks: (n, 5, 2) float32, inside the picture: right eye, left eye, nose, right and left mouth corner
    (the person's own right).
    attributes: role (`gender`, `age`, …) to its answer for all n faces.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.landmarks.shape != (n, 5, 2):
            shapes = self.boxes.shape, self.scores.shape, self.landmarks.shape
            raise ValueError(f"boxes, scores and landmarks disagree: {shapes}")
        for role, attribute in self.attributes.items():
            if len(attribute) != n:
                raise ValueError(f"{len(attribute)} answers of {role} for {n} faces")

    @classmethod
    def empty(cls) -> Faces:
        return cls(np.empty((0, 4), np.float32), np.empty((0,), np.float32), np.empty((0, 5, 2), np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    def only(self, chosen: NDArray[np.bool_]) -> Faces:
        """Those of the faces, not yet classified, for which `chosen`, (n,), is true."""
        if self.attributes:
            raise ValueError("faces are chosen before they are classified")
        return Faces(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])

    def to_maps(self) -> list[dict[str, Any]]:
        """The `faces` of a result, as docs/contract.md describes them."""
        return list(self._maps())

    def _maps(self) -> Iterator[dict[str, Any]]:
        boxes = _rounded_inside(self.boxes).tolist()
        # As float64: a rounded float32 has a dozen decimals again.
        landmarks = self.landmarks.astype(np.float64).round(2).tolist()
        for index, (box, points) in enumerate(zip(boxes, landmarks, strict=True)):
            yield {
                "box": box,
                "score": round(float(self.scores[index]), 4),
                "landmarks": points,
                "attributes": {role: answer.to_map(index) for role, answer in self.attributes.items()},
            }


def _rounded_inside(boxes: Floats) -> NDArray[np.float64]:
    """Boxes to hundredths of a pixel; by their corners, so that none grows out of the picture."""
    corners = boxes.astype(np.float64)
    corners[:, 2:] += corners[:, :2]
    corners = corners.round(2)
    corners[:, 2:] -= corners[:, :2]
    return corners.round(2)
