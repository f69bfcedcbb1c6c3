"""Results as workers publish them, of people whose places are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facestream.contract import FaceMap, ResultMap

BEGAN_US = 1_700_000_000_000_000 // 60_000_000 * 60_000_000
WIDTH, HEIGHT = 1000, 500


def face(
    x: float,
    y: float,
    size: float = 80.0,
    *,
    gender: str | None = "female",
    score: float = 0.95,
    label_score: float = 0.99,
    years: float | None = None,
    nose: float = 0.5,
) -> FaceMap:
    """A face whose box has its middle at (x, y); nose: where it stands from one eye, 0, to the other, 1."""
    left, top = x - size / 2, y - size / 2
    eyes = [[left + 0.3 * size, top + 0.4 * size], [left + 0.7 * size, top + 0.4 * size]]
    mouth = [[left + 0.35 * size, top + 0.8 * size], [left + 0.65 * size, top + 0.8 * size]]
    attributes: dict[str, Any] = {}
    if gender is not None:
        attributes["gender"] = {"label": gender, "score": label_score}
    if years is not None:
        attributes["age"] = {"years": years, "score": 0.9}
    landmarks = [*eyes, [left + (0.3 + 0.4 * nose) * size, top + 0.6 * size], *mouth]
    return {"box": [left, top, size, size], "score": score, "landmarks": landmarks, "attributes": attributes}


def result(
    seq: int,
    faces: Sequence[FaceMap] = (),
    *,
    seconds: float | None = None,
    camera: str = "lobby",
    epoch: int = 1,
    fps: float = 10.0,
) -> ResultMap:
    """The result of a frame that a camera saw `seconds` after BEGAN_US; seq / fps unless said."""
    at_us = BEGAN_US + round(1e6 * (seq / fps if seconds is None else seconds))
    return {
        "v": 1,
        "camera": camera,
        "source": camera,
        "epoch": epoch,
        "seq": seq,
        "pts_us": max(0, at_us - BEGAN_US),
        "captured_at_us": at_us,
        "clock": "receipt",
        "completed_at_us": at_us,
        "width": WIDTH,
        "height": HEIGHT,
        "source_width": WIDTH,
        "source_height": HEIGHT,
        "region": [0, 0, WIDTH, HEIGHT],
        "faces": list(faces),
        "models": {},
        "timings_ms": {},
        "worker": "w",
    }
