"""A result as its consumer sees it: names for what the contract's map holds, and the map itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from facestream.contract import FaceMap, ResultMap


class Box(NamedTuple):
    """In pixels of the picture as analysed: `Result.width` x `Result.height`."""

    x: float
    y: float
    width: float
    height: float


class Point(NamedTuple):
    """In pixels of the picture as analysed."""

    x: float
    y: float


class Label(NamedTuple):
    """An answer in words, with the probability of the likelier one, 0 to 1."""

    label: str
    score: float


class Years(NamedTuple):
    """An age, None where the face is too small; `score` is the probability of the five years around it."""

    years: float | None
    score: float


class Face:
    """One face of a result. `raw` is its map as it came, with whatever fields this version does not know."""

    __slots__ = ("raw",)

    def __init__(self, raw: FaceMap) -> None:
        self.raw = raw

    @property
    def box(self) -> Box:
        return Box(*self.raw["box"])

    @property
    def score(self) -> float:
        """How sure the detector is, 0 to 1."""
        return self.raw["score"]

    @property
    def landmarks(self) -> tuple[Point, ...]:
        """Right eye, left eye, nose, right and left corner of the mouth: the person's own right and left."""
        return tuple(Point(*point) for point in self.raw["landmarks"])

    @property
    def attributes(self) -> Mapping[str, Mapping[str, Any]]:
        """Every answer by its role, as it came."""
        return cast("Mapping[str, Mapping[str, Any]]", self.raw["attributes"])

    @property
    def gender(self) -> Label | None:
        """*Apparent* gender: `female`, `male` or `unknown`; None where it was not asked for."""
        answer = self.attributes.get("gender")
        return None if answer is None else Label(answer["label"], answer["score"])

    @property
    def age(self) -> Years | None:
        """Apparent age; None where it was not asked for."""
        answer = self.attributes.get("age")
        return None if answer is None else Years(answer["years"], answer["score"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Face) and other.raw == self.raw

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Face(box={self.box}, attributes={self.raw['attributes']})"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One frame's result. `raw` is the map as it came: every field of the contract, and later ones.

    (camera, epoch, seq) names its frame for ever. partition, entry: where it lies in the broker.
    """

    camera: str
    epoch: int
    seq: int
    faces: tuple[Face, ...]
    partition: int
    entry: str
    raw: ResultMap

    @classmethod
    def of(cls, raw: ResultMap, partition: int, entry: str) -> Result:
        faces = tuple([Face(face) for face in raw["faces"]])
        return cls(raw["camera"], raw["epoch"], raw["seq"], faces, partition, entry, raw)

    @property
    def frame(self) -> tuple[str, int, int]:
        """What to tell results apart by: (camera, epoch, seq)."""
        return self.camera, self.epoch, self.seq

    @property
    def captured_at(self) -> datetime:
        """When the frame was captured, by the clock that `clock` names."""
        return datetime.fromtimestamp(self.raw["captured_at_us"] / 1e6, UTC)

    @property
    def completed_at(self) -> datetime:
        """When it was analysed, by the worker's clock."""
        return datetime.fromtimestamp(self.raw["completed_at_us"] / 1e6, UTC)

    @property
    def published_at(self) -> datetime:
        """When the result came to the broker, by the broker's clock."""
        return datetime.fromtimestamp(int(self.entry.partition("-")[0]) / 1e3, UTC)

    @property
    def clock(self) -> str:
        """Whose clock `captured_at` is: `receipt`, `sender` or `file`."""
        return self.raw["clock"]

    @property
    def source(self) -> str:
        return self.raw["source"]

    @property
    def width(self) -> int:
        return self.raw["width"]

    @property
    def height(self) -> int:
        return self.raw["height"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and other.raw == self.raw

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Result({self.camera!r}, epoch={self.epoch}, seq={self.seq}, faces={list(self.faces)})"
