"""YuNet: finds faces and their five landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from facestream_models.faces import Faces, Floats
from facestream_models.model import Layout
from facestream_models.scaling import resized
from facestream_models.session import Session

STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"head_{stride}" for stride in STRIDES)
# Channels of each head, as yunet_graph.py joins them.
CLASS, OBJECT, BOX, POINTS = 0, 1, slice(2, 6), slice(6, 16)

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
# Inputs of so many sizes are kept: 3 MB each at 640 pixels, and making one costs as much as filling it.
MOST_CANVASES = 4


class Candidates(NamedTuple):
    """Cells that may be faces: corners (n, 4), scores (n,), landmarks (n, 5, 2), in pixels as detected on."""

    corners: Floats
    scores: Floats
    landmarks: Floats

    def take(self, chosen: NDArray[np.intp]) -> Candidates:
        return Candidates(self.corners[chosen], self.scores[chosen], self.landmarks[chosen])


NO_CANDIDATES = Candidates(
    np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, LANDMARKS, 2), np.float32)
)


class YuNet:
    """Finds faces in pictures of any size; not to be shared between threads.

    min_score: faces the network is less sure of, from 0 to 1, are left out.
    longest_side_px: pictures are scaled to it, small ones to no more than MOST_ENLARGED times their size.
    """

    def __init__(self, session: Session, *, min_score: float = 0.6, longest_side_px: int = 640) -> None:
        self._session = session
        self._min_score = min_score
        self._longest_side_px = longest_side_px
        self._canvases: dict[tuple[int, int, int], Canvas] = {}

    def detect(self, image: NDArray[np.uint8]) -> Faces:
        """The faces of a BGR uint8 picture (height, width, 3), best first, without attributes.

        Landmarks are where the network sees them, which may be outside the picture.
        """
        return self.detect_all([image])[0]

    def detect_all(self, images: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """The same for pictures of any sizes; those of one size together, as many as the engine likes."""
        ratios = [min(MOST_ENLARGED, self._longest_side_px / max(image.shape[:2])) for image in images]
        faces = self._look(images, ratios)
        closer = [CLOSE_UP_SIDE_PX / max(image.shape[:2]) for image in images]
        again = [i for i in range(len(images)) if not len(faces[i]) and closer[i] < ratios[i]]
        looked = self._look([images[i] for i in again], [closer[i] for i in again])
        for i, found in zip(again, looked, strict=True):
            faces[i] = found
        return faces

    def _look(self, images: Sequence[NDArray[np.uint8]], ratios: Sequence[float]) -> list[Faces]:
        """The faces to be seen in each picture scaled by its ratio, in pixels of the picture."""
        scaled = [resized(image, ratio) for image, ratio in zip(images, ratios, strict=True)]
        found: dict[int, Faces] = {}
        for members in _of_one_size(scaled, self._session.best_batch):
            canvas = self._canvas(len(members), scaled[members[0]].shape[:2])
            heads = self._session.run(canvas.filled([scaled[i] for i in members]))
            for place, i in enumerate(members):
                candidates = _suppress(_decode([head[place] for head in heads], self._min_score))
                found[i] = _in_picture(candidates, images[i].shape[:2], scaled[i].shape[:2])
        return [found[i] for i in range(len(images))]

    def _canvas(self, pictures: int, size: tuple[int, ...]) -> Canvas:
        key = (pictures, size[0], size[1])
        if key not in self._canvases:
            if len(self._canvases) >= MOST_CANVASES:
                self._canvases.pop(next(iter(self._canvases)))
            self._canvases[key] = Canvas(*key, self._session.layout)
        return self._canvases[key]


class Canvas:
    """A network's input, reused: float pixels, with black at the right and below up to a size it takes."""

    def __init__(self, pictures: int, height: int, width: int, layout: Layout) -> None:
        self._layout = layout
        self._height, self._width = height, width
        rows, columns = _padded(height), _padded(width)
        shape = (pictures, 3, rows, columns) if layout == "NCHW" else (pictures, rows, columns, 3)
        self._pixels: Floats = np.zeros(shape, np.float32)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)] if layout == "NCHW" else []

    def filled(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        """The input with these pictures in it; black stays where it is."""
        for place, image in zip(self._pixels, images, strict=True):
            if self._layout == "NHWC":
                place[: self._height, : self._width] = image
                continue
            # Split first, then widen: four times faster than `cv2.dnn.blobFromImage` on a padded copy.
            cv2.split(image, self._planes)
            for channel, plane in enumerate(self._planes):
                place[channel, : self._height, : self._width] = plane
        return self._pixels


def _of_one_size(images: Sequence[NDArray[np.uint8]], most: int) -> Iterator[list[int]]:
    """Places of pictures of one size, at most so many together."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        sizes.setdefault(image.shape[:2], []).append(place)
    for places in sizes.values():
        yield from (places[start : start + most] for start in range(0, len(places), most))


def _padded(side: int) -> int:
    return max(SMALLEST_SIDE_PX, -(-side // MULTIPLE_OF) * MULTIPLE_OF)


def _decode(heads: Sequence[Floats], min_score: float) -> Candidates:
    """The cells whose score passes; heads: for each stride (16, rows, columns).

    The score is the root of sigmoid(cls) · sigmoid(obj). Neither factor is above 1, so both must pass its
    square: two comparisons leave a handful of thousands of cells to compute for.
    """
    bound = min_score * min_score
    floor = np.log(bound / (1 - bound)) if 0 < bound < 1 else (np.inf if bound else -np.inf)
    levels = []
    for stride, head in zip(STRIDES, heads, strict=True):
        values = head.reshape(len(head), -1)
        cells = np.flatnonzero((values[CLASS] > floor) & (values[OBJECT] > floor))
        if len(cells):
            chosen = values[:, cells].T
            products = _sigmoid(chosen[:, CLASS]) * _sigmoid(chosen[:, OBJECT])
            levels.append(_candidates(stride, cells, head.shape[2], products, chosen))
    if not levels:
        return NO_CANDIDATES
    every = Candidates(*(np.concatenate(values) for values in zip(*levels, strict=True)))
    return every.take(np.flatnonzero(every.scores > min_score))


def _sigmoid(values: Floats) -> Floats:
    # Numbers far below zero overflow to infinity on the way, and end as the 0 they should.
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def _candidates(
    stride: int, cells: NDArray[np.intp], columns: int, products: Floats, chosen: Floats
) -> Candidates:
    boxes, points = chosen[:, BOX], chosen[:, POINTS].reshape(-1, LANDMARKS, 2)
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


def _in_picture(found: Candidates, size: tuple[int, ...], scaled: tuple[int, ...]) -> Faces:
    """From pixels as detected on to pixels of the picture, boxes clipped to it; sizes: (height, width)."""
    if not len(found.scores):
        return Faces.empty()
    edge = np.array(size[::-1], np.float32)
    scale = np.asarray(edge / np.array(scaled[::-1], np.float32), np.float32)
    corners = np.clip(found.corners.reshape(-1, 2, 2) * scale, 0, edge)
    boxes = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
    inside = (boxes[:, 2:] > 0).all(axis=1)
    return Faces(boxes[inside], found.scores[inside], (found.landmarks * scale)[inside])
