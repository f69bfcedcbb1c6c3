"""Reads the labelled pictures and clips that accuracy is measured on; they are not part of the project."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

DIFFICULTIES = ("easy", "medium", "hard")
# Years that FairFace's bands begin with and end before.
BANDS = {
    "0-2": (0, 3),
    "3-9": (3, 10),
    **{f"{decade}-{decade + 9}": (decade, decade + 10) for decade in range(10, 70, 10)},
    "70+": (70, 100),
}
SEED = 1


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture of one person, as annotators perceived them; `age` is a band of BANDS or empty."""

    path: Path
    source: str
    gender: str
    age: str
    race: str
    balanced: bool

    def image(self) -> Image:
        """FairFace's crops are tight: a third of the height is added on each side by repeating the edge."""
        image = _read(self.path)
        if self.source != "fairface":
            return image
        margin = round(image.shape[0] / 3)
        padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        return np.asarray(padded, np.uint8)


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of many faces: boxes (n, 4) x, y, width, height; masks (n,) of who counts and is how hard."""

    path: Path
    boxes: NDArray[np.float32]
    valid: Mask
    groups: dict[str, Mask]

    def image(self) -> Image:
        return _read(self.path)


def portraits(labels_csv: Path, limit: int | None) -> list[Portrait]:
    """At random where limited: the file is sorted, and its first lines are not like the rest."""
    rows = [
        Portrait(
            labels_csv.parent / row["path"],
            row["source"],
            row["gender"],
            row["age"],
            row["race"],
            row["balanced"] == "1",
        )
        for row in _rows(labels_csv)
    ]
    return rows if limit is None else random.Random(SEED).sample(rows, min(limit, len(rows)))


def scenes(boxes_csv: Path, limit: int | None) -> Iterator[Scene]:
    by_path: dict[str, list[dict[str, str]]] = {}
    for row in _rows(boxes_csv):
        by_path.setdefault(row["path"], []).append(row)
    for path, rows in islice(by_path.items(), limit):
        boxes = np.array([[float(row[key]) for key in "xywh"] for row in rows], np.float32)
        groups = {name: np.array([row[name] == "1" for row in rows]) for name in DIFFICULTIES}
        yield Scene(boxes_csv.parent / path, boxes, np.array([row["invalid"] == "0" for row in rows]), groups)


def frames(clip: Path, width_px: int, jpeg_quality: int, limit: int | None) -> Iterator[Image]:
    """Frames as a worker gets them: scaled, and through JPEG once."""
    capture = cv2.VideoCapture(str(clip))
    for _ in range(limit or 1_000_000):
        there, frame = capture.read()
        if not there:
            break
        height = round(frame.shape[0] * width_px / frame.shape[1])
        scaled = cv2.resize(frame, (width_px, height), interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
        yield np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    capture.release()


def batches(images: Iterable[Image], size: int) -> Iterator[list[Image]]:
    remaining = iter(images)
    while batch := list(islice(remaining, size)):
        yield batch


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _read(path: Path) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f"no picture can be read from {path}")
    return np.asarray(image, np.uint8)
