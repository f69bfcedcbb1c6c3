"""YuNet: finds faces and their five landmarks."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from facestream_models.engine import Session
from facestream_models.faces import Faces, Floats
from facestream_models.scaling import resized

STRIDES = (8, 16, 32)
VALUES = ("cls", "obj", "bbox", "kps")
OUTPUTS = tuple(f"{value}_{stride}" for stride in STRIDES for value in VALUES)

MULTIPLE_OF = 32
# OpenCV 4.10 computes nonsense where a side is 32; version 5 does not.
SMALLEST_SIDE_PX = 64
LANDMARKS = 5
OVERLAP_OF_ONE_FACE = 0.3
# Small pictures: twice their size brings recall from 0.78 to 0.85 on easy faces of scenes 320 pixels wide,
# and finer landmarks. A face that fills the picture is then too large to be seen, as in any picture of 640
# pixels (9 % missed): where nothing is found there is a second look at this size, which misses 0.1 %.
MOST_ENLARGED = 2.0
CLOSE_UP_SIDE_PX = 224
# Bounds on what a hostile picture can cost: candidates compared with each other, faces reported.
MAX_CANDIDATES = 5000
MAX_FACES = 1000


class Candidates(NamedTuple):
    """Cells that may be faces: corners (n, 4), scores (n,), landmarks (n, 5, 2), in pixels as detected on."""

    corners: Floats
    scores: Floats
    landmarks: Floats

    def take(self, chosen: NDArray[np.intp]) -> Candidates:
        return Candidates(self.corners[chosen], self.scores[chosen], self.landmarks[chosen])


class YuNet:
    """Finds faces in pictures of any size; not to be shared between threads.

    min_score: faces the network is less sure of, from 0 to 1, are left out.
    longest_side_px: pictures are scaled to it, small ones to no more than MOST_ENLARGED times their size.
    """

    def __init__(self, session: Session, *, min_score: float = 0.6, longest_side_px: int = 640) -> None:
        self._session = session
        self._min_score = min_score
        self._longest_side_px = longest_side_px
        self._planes: list[NDArray[np.uint8]] = []
        self._padded: Floats = np.zeros((1, 3, 0, 0), np.float32)

    def detect(self, image: NDArray[np.uint8]) -> Faces:
        """The faces of a BGR uint8 picture (height, width, 3), best first, without attributes.

        Landmarks are where the network sees them, which may be outside the picture.
        """
        ratio = min(MOST_ENLARGED, self._longest_side_px / max(image.shape[:2]))
        faces = self._look(image, ratio)
        closer = CLOSE_UP_SIDE_PX / max(image.shape[:2])
        return faces if len(faces) or closer >= ratio else self._look(image, closer)

    def _look(self, image: NDArray[np.uint8], ratio: float) -> Faces:
        """The faces to be seen in the picture scaled by `ratio`, in pixels of the picture."""
        scaled = resized(image, ratio)
        outputs = dict(zip(OUTPUTS, self._session.run(self._network_input(scaled)), strict=True))
        found = _suppress(_decode(outputs, self._padded.shape[3], self._min_score))
        height, width = image.shape[:2]
        scale = np.array([width / scaled.shape[1], height / scaled.shape[0]], np.float32)
        return _in_picture(found, scale, width, height)

    def _network_input(self, image: NDArray[np.uint8]) -> Floats:
        """The picture as float planes, with black at the right and below up to a size the network takes.

        Split first, then widen: four times faster than `cv2.dnn.blobFromImage` on a padded copy.
        """
        height, width = image.shape[:2]
        if not self._planes or self._planes[0].shape != (height, width):
            self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]
            self._padded = np.zeros((1, 3, _padded(height), _padded(width)), np.float32)
        cv2.split(image, self._planes)
        for channel, plane in enumerate(self._planes):
            self._padded[0, channel, :height, :width] = plane
        return self._padded


def _padded(side: int) -> int:
    return max(SMALLEST_SIDE_PX, -(-side // MULTIPLE_OF) * MULTIPLE_OF)


def _decode(outputs: dict[str, Floats], padded_width: int, min_score: float) -> Candidates:
    """The cells whose score, the root of cls · obj, passes."""
    levels = []
    for stride in STRIDES:
        classes, objects = outputs[f"cls_{stride}"].ravel(), outputs[f"obj_{stride}"].ravel()
        products = classes * objects
        cells = np.flatnonzero(products > min_score * min_score)
        if len(cells):
            boxes = outputs[f"bbox_{stride}"].reshape(-1, 4)[cells]
            points = outputs[f"kps_{stride}"].reshape(-1, LANDMARKS, 2)[cells]
            levels.append(_candidates(stride, cells, padded_width // stride, products[cells], boxes, points))
    if not levels:
        return _candidates(1, np.empty(0, np.intp), 1, *_nothing())
    return Candidates(*(np.concatenate(values) for values in zip(*levels, strict=True)))


def _nothing() -> tuple[Floats, Floats, Floats]:
    return np.empty(0, np.float32), np.empty((0, 4), np.float32), np.empty((0, LANDMARKS, 2), np.float32)


def _candidates(
    stride: int, cells: NDArray[np.intp], columns: int, products: Floats, boxes: Floats, points: Floats
) -> Candidates:
    grid = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    centres = (grid + boxes[:, :2]) * stride
    halves = np.exp(boxes[:, 2:]) * (stride / 2)
    corners = np.concatenate([centres - halves, centres + halves], axis=1)
    return Candidates(corners, np.sqrt(products), (grid[:, None] + points) * stride)


def _suppress(candidates: Candidates) -> Candidates:
    """Of candidates that overlap, the best one; best first."""
    order = np.argsort(-candidates.scores, kind="stable")[:MAX_CANDIDATES]
    best = candidates.take(order)
    if len(order) < 2:
        return best
    rectangles = best.corners.astype(np.float64)
    rectangles[:, 2:] -= rectangles[:, :2]
    kept = cv2.dnn.NMSBoxes(rectangles, best.scores, 0.0, OVERLAP_OF_ONE_FACE)  # type: ignore[arg-type]
    return best.take(np.asarray(kept, np.intp).ravel()[:MAX_FACES])


def _in_picture(found: Candidates, scale: Floats, width: int, height: int) -> Faces:
    """From pixels as detected on to pixels of the picture, boxes clipped to it."""
    edge = np.array([width, height], np.float32)
    corners = np.clip(found.corners.reshape(-1, 2, 2) * scale, 0, edge)
    boxes = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
    inside = (boxes[:, 2:] > 0).all(axis=1)
    return Faces(boxes[inside], found.scores[inside], (found.landmarks * scale)[inside])
