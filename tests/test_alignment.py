"""Faces turned upright and brought to one size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream_models.alignment import TEMPLATE, cut_chips, similarities
from support.portraits import portrait

# Of astronaut.png, by eye: right eye, left eye, nose, right and left mouth corner.
ASTRONAUT = np.array([(200, 102), (247, 102), (220, 125), (199, 143), (240, 144)], np.float32)


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turn = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    return points @ turn.T + shift


def test_a_similarity_undoes_any_turn_scale_and_shift() -> None:
    placed = [
        turned(TEMPLATE, degrees, scale, shift)
        for degrees, scale, shift in [
            (0, 1, (0, 0)),
            (37, 80, (400, -20)),
            (180, 5, (1, 2)),
            (-90, 900, (0, 9)),
        ]
    ]

    transforms, usable = similarities(np.array(placed, np.float32), TEMPLATE)

    assert usable.all()
    for points, transform in zip(placed, transforms, strict=True):
        np.testing.assert_allclose(points @ transform[:, :2].T + transform[:, 2], TEMPLATE, atol=1e-4)


def test_a_similarity_is_the_best_one_by_least_squares() -> None:
    generator = np.random.default_rng(5)
    points = TEMPLATE * 50 + generator.normal(0, 4, TEMPLATE.shape)

    [[*rows]], _ = similarities(points[None].astype(np.float32), TEMPLATE)
    error = np.square(points @ np.array(rows)[:, :2].T + np.array(rows)[:, 2] - TEMPLATE).sum()

    for change in generator.normal(0, 1e-3, (200, 2, 2)):
        turn = np.array(rows)[:, :2] + [[change[0, 0], -change[0, 1]], [change[0, 1], change[0, 0]]]
        shift = np.array(rows)[:, 2] + change[1]
        assert np.square(points @ turn.T + shift - TEMPLATE).sum() > error


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), 17.0),
        np.full((5, 2), np.nan),
        np.array([(0, 0), (1, 1), (2, np.inf), (3, 3), (4, 4)]),
    ],
)
def test_landmarks_that_fix_no_position_give_a_black_chip_and_leave_the_others(points: np.ndarray) -> None:
    landmarks = np.array([ASTRONAUT, points, ASTRONAUT], np.float32)

    chips, usable = cut_chips(portrait("astronaut.png"), landmarks, 32, 32, 0.2)

    assert usable.tolist() == [True, False, True]
    assert not chips[1].any()
    assert chips[0].mean() > 50
    np.testing.assert_array_equal(chips[0], chips[2])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_gives_the_same_chip(quarters: int) -> None:
    image = portrait("astronaut.png")
    upright, _ = cut_chips(image, ASTRONAUT[None], 32, 32, 0.2)
    landmarks = ASTRONAUT
    for _ in range(quarters):
        landmarks = np.stack([landmarks[:, 1], image.shape[1] - 1 - landmarks[:, 0]], axis=1)

    chips, _ = cut_chips(np.ascontiguousarray(np.rot90(image, quarters)), landmarks[None], 32, 32, 0.2)

    assert np.abs(chips.astype(int) - upright).max() <= 2


@pytest.mark.parametrize("scale", [0.25, 0.5, 2, 4, 8])
def test_a_scaled_picture_gives_nearly_the_same_chip_without_a_shift(scale: float) -> None:
    image = portrait("astronaut.png")
    upright, _ = cut_chips(image, ASTRONAUT[None], 32, 32, 0.2)
    scaled = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    landmarks = (ASTRONAUT + 0.5) * scale - 0.5

    chips, _ = cut_chips(np.asarray(scaled, np.uint8), landmarks[None], 32, 32, 0.2)

    shift, _ = cv2.phaseCorrelate(*(np.float32(chip.mean(axis=2)) for chip in (upright[0], chips[0])))
    assert np.abs(chips.astype(int) - upright).mean() < 6
    assert np.hypot(*shift) < 0.15


def test_a_chip_of_another_shape_holds_the_face_in_its_middle() -> None:
    image = portrait("astronaut.png")
    square, _ = cut_chips(image, ASTRONAUT[None], 48, 48, 0.2)

    wide, _ = cut_chips(image, ASTRONAUT[None], 80, 48, 0.2)

    assert wide.shape == (1, 48, 80, 3)
    assert np.abs(wide[:, :, 16:64].astype(int) - square).max() <= 2


def test_a_picture_wider_than_opencv_warps_gives_the_chip_of_a_narrower_one() -> None:
    narrow = portrait("astronaut.png")[:256]
    wide = np.zeros((256, 40_000, 3), np.uint8)
    wide[:, 30_000:30_512] = narrow
    expected, _ = cut_chips(narrow, ASTRONAUT[None], 32, 32, 0.2)

    chips, usable = cut_chips(wide, ASTRONAUT[None] + np.float32((30_000, 0)), 32, 32, 0.2)

    assert usable.all()
    assert np.abs(chips.astype(int) - expected).mean() < 8


def test_no_faces_give_no_chips() -> None:
    chips, usable = cut_chips(np.zeros((9, 9, 3), np.uint8), np.empty((0, 5, 2), np.float32), 32, 32, 0.2)

    assert chips.shape == (0, 32, 32, 3)
    assert usable.shape == (0,)
