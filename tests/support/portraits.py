"""The portraits, scenes made of them, and an analyser for them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facestream_models import Analyser
from facestream_models.catalogue import load_catalogue
from facestream_models.store import WeightsStore
from support.weights import pull_or_skip

PORTRAITS = Path(__file__).resolve().parent.parent / "portraits"
NAMES = ("astronaut.png", "luispedro.jpg", "grace_hopper.jpg", "cameraman.png")

Image = NDArray[np.uint8]


def portrait(name: str) -> Image:
    image = cv2.imread(str(PORTRAITS / name))
    assert image is not None
    return np.asarray(image, np.uint8)


def mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def scene() -> Image:
    """All four portraits side by side, 640x640."""
    return np.vstack([np.hstack([_square(name) for name in NAMES[row : row + 2]]) for row in (0, 2)])


def weights() -> WeightsStore:
    """The user's own store, complete."""
    store = WeightsStore()
    pull_or_skip(store, load_catalogue())
    return store


def make_analyser(
    attributes: tuple[str, ...] = ("gender",), engine: str = "onnxruntime", **options: float
) -> Analyser:
    return Analyser(attributes, engine=engine, weights=weights(), **options)  # type: ignore[arg-type]


def _square(name: str) -> Image:
    image = portrait(name)
    side = min(image.shape[:2])
    return np.asarray(cv2.resize(image[:side, :side], (320, 320), interpolation=cv2.INTER_AREA), np.uint8)
