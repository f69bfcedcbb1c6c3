"""Cuts faces out of a picture, turned upright and brought to one size: the chips classifiers see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facestream_models.faces import Floats
from facestream_models.scaling import resized

Chips = NDArray[np.uint8]

# Where the eyes (right, left), the nose and the mouth's corners (right, left) lie in a chip without padding.
TEMPLATE = np.array([(0.2255, 0.216), (0.7547, 0.216), (0.490, 0.5156), (0.254, 0.780), (0.726, 0.780)])

# A face is warped onto a canvas this many times the chip and then shrunk by area. The coarsest canvas that
# still takes about every second pixel of the picture was the most accurate in bench/accuracy.py, and the
# cheapest: a larger one only blurs small faces, a smaller one skips pixels of large ones.
MAX_SUPERSAMPLING = 16
PICTURE_PX_PER_CANVAS_PX = 2.0

# OpenCV warps no picture of more than 32,767 pixels a side, and no face needs as many.
LARGEST_SIDE_PX = 16_384

Doubles = NDArray[np.float64]


def cut_chips(
    image: NDArray[np.uint8], landmarks: Floats, width: int, height: int, padding: float
) -> tuple[Chips, NDArray[np.bool_]]:
    """The aligned chips of n faces of a BGR picture, and which of them could be aligned at all.

    landmarks: (n, 5, 2), pixels of `image`. padding: added on each side, as a share of the template's square.
    Returns (n, height, width, 3) uint8 and (n,) bool; a chip whose landmarks fix no position is black.
    """
    image, landmarks = _warpable(image, landmarks)
    chips = np.zeros((len(landmarks), height, width, 3), np.uint8)
    transforms, usable = similarities(landmarks, _target(width, height, padding))
    for index in np.flatnonzero(usable):
        _warp(image, transforms[index], chips[index])
    return chips, usable


def similarities(points: Floats, target: Doubles) -> tuple[Doubles, NDArray[np.bool_]]:
    """The turn, scale and shift that bring each of n sets of points nearest to `target`, by least squares.

    points: (n, k, 2); target: (k, 2). Returns (n, 2, 3) and, (n,), whether the points fix one: not when
    they all coincide or are not finite. Closed form: with one point set centred on the other's middle, the
    best complex factor is the sum of conj(point) · target over the sum of |point|².
    """
    finite = np.asarray(np.isfinite(points).all(axis=(1, 2)), np.bool_)
    sources = np.where(finite[:, None, None], points, 0).astype(np.float64)
    source_middles, target_middle = sources.mean(axis=1), target.mean(axis=0)
    source, wanted = sources - source_middles[:, None], target - target_middle
    size = (source**2).sum(axis=(1, 2))
    usable = finite & (size > 1e-6)
    divisor = np.where(usable, size, 1.0)
    cosine = (source * wanted).sum(axis=(1, 2)) / divisor
    sine = (source[..., 0] * wanted[:, 1] - source[..., 1] * wanted[:, 0]).sum(axis=1) / divisor
    usable = usable & (np.hypot(cosine, sine) > 1e-6)
    turn = np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=1)
    shift = target_middle - (turn @ source_middles[:, :, None])[:, :, 0]
    return np.concatenate([turn, shift[:, :, None]], axis=2), usable


def _warpable(image: NDArray[np.uint8], landmarks: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """The picture and its landmarks, shrunk where OpenCV would refuse to warp it."""
    height, width = image.shape[:2]
    if not len(landmarks) or max(height, width) <= LARGEST_SIDE_PX:
        return image, landmarks
    shrunk = resized(image, LARGEST_SIDE_PX / max(height, width))
    scale = np.array([shrunk.shape[1] / width, shrunk.shape[0] / height], np.float32)
    return shrunk, landmarks * scale


def _target(width: int, height: int, padding: float) -> Doubles:
    """The template in pixels of the chip, centred where the chip is no square."""
    side = min(width, height)
    margin = np.array([width - side, height - side]) / 2
    # Pixel i spans from i to i + 1, so its index is half a pixel less than its middle.
    return (TEMPLATE + padding) / (1 + 2 * padding) * side + margin - 0.5


def _warp(image: NDArray[np.uint8], transform: Doubles, chip: Chips) -> None:
    height, width = chip.shape[:2]
    picture_px_per_chip_px = 1 / np.hypot(transform[0, 0], transform[1, 0])
    factor = _supersampling(picture_px_per_chip_px)
    if factor == 1:
        cv2.warpAffine(image, transform, (width, height), dst=chip, flags=cv2.INTER_LINEAR)
        return
    larger = transform * factor
    larger[:, 2] += (factor - 1) / 2
    canvas = cv2.warpAffine(image, larger, (width * factor, height * factor), flags=cv2.INTER_LINEAR)
    cv2.resize(canvas, (width, height), dst=chip, interpolation=cv2.INTER_AREA)


def _supersampling(picture_px_per_chip_px: float) -> int:
    """The nearest power of two, within bounds, to the factor that spaces samples as wanted."""
    wanted = picture_px_per_chip_px / PICTURE_PX_PER_CANVAS_PX
    return int(2 ** np.clip(np.round(np.log2(wanted)), 0, np.log2(MAX_SUPERSAMPLING)))
