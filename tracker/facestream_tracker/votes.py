"""One answer for a whole track out of many looks: good looks count more, and none may be had."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Self

from facestream.contract.track import TrackLabelMap, TrackYearsMap
from facestream_tracker.observation import LABELS, UNKNOWN, Seen

# Two thirds of the weight must agree, and there must be some: a third of one perfect look.
CLEAR_SHARE: Final = 0.65
LEAST_WEIGHT: Final = 0.3
# A look that could not be labelled says a little for nobody knowing.
_UNSURE_WEIGHT: Final = 0.1


@dataclass(slots=True)
class LabelVote:
    """Apparent gender over a track: every look has its quality, times how far its score is from a guess."""

    weights: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*LABELS, UNKNOWN), 0.0))
    looks: int = 0

    def add(self, seen: Seen) -> None:
        if seen.label is None:
            return
        self.looks += 1
        if seen.label == UNKNOWN:
            self.weights[UNKNOWN] += _UNSURE_WEIGHT * seen.quality
        else:
            self.weights[seen.label] += seen.quality * max(0.0, 2 * seen.label_score - 1)

    @property
    def label(self) -> str | None:
        """female, male, `unknown` where the looks disagree or are too poor, None where nobody asked."""
        if not self.looks:
            return None
        best = max(LABELS, key=self.weights.__getitem__)
        clear = self.weights[best] >= LEAST_WEIGHT and self.score >= CLEAR_SHARE
        return best if clear else UNKNOWN

    @property
    def score(self) -> float:
        """The share of the weight that the likelier label has; 0 without any."""
        whole = sum(self.weights.values())
        return max(self.weights[name] for name in LABELS) / whole if whole > 0 else 0.0

    def to_map(self) -> TrackLabelMap | None:
        label = self.label
        if label is None:
            return None
        return {"label": label, "score": round(self.score, 4), "looks": self.looks}

    def pack(self) -> list[Any]:
        return [*self.weights.values(), self.looks]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Self:
        *weights, looks = packed
        return cls(dict(zip((*LABELS, UNKNOWN), weights, strict=True)), looks)


@dataclass(slots=True)
class YearsMean:
    """Apparent age over a track: the mean of all looks by their weight, and how far they spread."""

    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    looks: int = 0

    def add(self, seen: Seen) -> None:
        weight = seen.quality * seen.years_score
        if seen.years is None or weight <= 0:
            return
        self.looks += 1
        self.weight += weight
        step = seen.years - self.mean
        self.mean += step * weight / self.weight
        self.squares += weight * step * (seen.years - self.mean)

    def to_map(self) -> TrackYearsMap | None:
        if not self.looks:
            return None
        spread = math.sqrt(max(0.0, self.squares / self.weight))
        return {"years": round(self.mean, 1), "spread": round(spread, 1), "looks": self.looks}

    def pack(self) -> list[Any]:
        return [self.weight, self.mean, self.squares, self.looks]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Self:
        return cls(*packed)
