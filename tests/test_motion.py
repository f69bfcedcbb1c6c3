"""The gate lets movement through, and holds back noise, light and stillness."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facestream.zones import Zone
from facestream_producer.motion import MotionGate, zone_mask

Picture = NDArray[np.uint8]
STEP_US = 200_000
FORMATS = ["bgr24", "yuv420p", "yuvj420p", "nv12", "gray", "yuv420p10le"]


def scene(seed: int = 0, size: tuple[int, int] = (720, 1280)) -> Picture:
    """A room: soft shapes of many shades."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (size[0] // 40, size[1] // 40), dtype=np.uint8)
    return np.repeat(np.repeat(np.repeat(coarse[:, :, None], 3, 2), 40, 0), 40, 1)


def noisy(image: Picture, seed: int, sigma: float = 6.0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def with_person(image: Picture, x: int) -> Picture:
    """Somebody 1/8 of the picture high and half as wide."""
    height, width = image.shape[:2]
    out = image.copy()
    out[height // 2 : height // 2 + height // 8, x : x + width // 32] = 230
    return out


def shown(image: Picture, kind: str) -> av.VideoFrame | Picture:
    return image if kind == "bgr24" else av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=kind)


def passed(images: list[Picture], kind: str = "yuv420p", gate: MotionGate | None = None) -> list[int]:
    gate = gate or MotionGate(max_gap_seconds=None)
    return [
        number for number, image in enumerate(images) if gate.passes(shown(image, kind), number * STEP_US)
    ]


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_but_noise_is_held_back(kind: str) -> None:
    assert passed([noisy(scene(), seed) for seed in range(6)], kind) == [0]


@pytest.mark.parametrize("kind", FORMATS)
def test_somebody_walking_passes_every_time(kind: str) -> None:
    images = [noisy(with_person(scene(), 100 * step), step) for step in range(6)]
    assert passed(images, kind) == list(range(6))


def test_somebody_standing_passes_when_he_comes_and_when_he_goes() -> None:
    empty, there = scene(), with_person(scene(), 400)
    images = [empty, empty, there, there, there, empty, empty]
    assert passed([noisy(image, seed) for seed, image in enumerate(images)]) == [0, 2, 5]


def test_slow_movement_adds_up() -> None:
    images = [with_person(scene(), 400 + step) for step in range(60)]
    assert len(passed(images)) >= 2


@pytest.mark.parametrize("brighter", [-40, -10, 10, 40])
def test_a_change_of_light_is_no_movement(brighter: int) -> None:
    image = scene()
    lit = np.clip(image.astype(int) + brighter, 0, 255).astype(np.uint8)
    assert passed([image, lit, image]) == [0]
    assert passed([image, with_person(lit, 300)]) == [0, 1]


def test_one_passes_at_least_every_so_often() -> None:
    gate = MotionGate(max_gap_seconds=1.0)
    assert passed([scene()] * 16, gate=gate) == [0, 5, 10, 15]


def test_a_clock_that_goes_back_and_another_size_pass() -> None:
    gate = MotionGate(max_gap_seconds=10.0)
    assert gate.passes(scene(), 5_000_000)
    assert not gate.passes(scene(), 5_200_000)
    assert gate.passes(scene(), 0)
    assert gate.passes(scene(size=(480, 640)), 200_000)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (120, 160), (721, 1281), (40, 4000)])
def test_any_size_can_be_judged(size: tuple[int, int]) -> None:
    gate = MotionGate(max_gap_seconds=None)
    dark = np.full((*size, 3), 10, np.uint8)
    assert gate.passes(dark, 0)
    assert not gate.passes(dark, 1)


LEFT = Zone(include=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
NOT_LEFT = Zone(exclude=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("zone", "passes_left"), [(LEFT, True), (NOT_LEFT, False)])
def test_only_what_moves_inside_of_the_zone_counts(kind: str, zone: Zone, *, passes_left: bool) -> None:
    left = [noisy(with_person(scene(), 100 * step), step) for step in range(5)]
    right = [noisy(with_person(scene(), 700 + 100 * step), step) for step in range(5)]
    everything = list(range(5))
    for images, passes in ((left, passes_left), (right, not passes_left)):
        gate = MotionGate(max_gap_seconds=None, zone=zone)
        assert passed(images, kind, gate) == (everything if passes else [0])


def test_a_zone_smaller_than_a_person_is_watched_too() -> None:
    """What fills half of it has moved, however little that is of the picture."""
    door = Zone(include=((0.5, 0.5), (0.52, 0.5), (0.52, 0.53), (0.5, 0.53)))
    images = [scene(), with_person(scene(), 640), scene()]
    assert passed(images, gate=MotionGate(max_gap_seconds=None, zone=door)) == [0, 1, 2]
    assert passed([scene()] * 3, gate=MotionGate(max_gap_seconds=None, zone=door)) == [0]


def test_a_light_outside_of_the_zone_changes_nothing_inside() -> None:
    dark = scene()
    lit = dark.copy()
    lit[:, 640:] = np.clip(lit[:, 640:].astype(int) + 60, 0, 255).astype(np.uint8)
    assert passed([dark, lit, dark], gate=MotionGate(max_gap_seconds=None, zone=LEFT)) == [0]


def test_the_mask_is_what_the_zone_covers() -> None:
    ring = ((0.1, 0.1), (0.9, 0.2), (0.7, 0.9))
    zone = Zone(include=ring, exclude=(((0.4, 0.3), (0.6, 0.3), (0.6, 0.6), (0.4, 0.6)),))
    width, height = 160, 90
    mask = zone_mask(zone, width, height)
    covered = np.array(
        [[zone.covers((x + 0.5) / width, (y + 0.5) / height) for x in range(width)] for y in range(height)]
    )
    edge = cv2.dilate(mask, np.ones((3, 3), np.uint8)) != cv2.erode(mask, np.ones((3, 3), np.uint8))
    assert np.array_equal((mask == 255)[~edge], covered[~edge])
    assert 0.2 < covered.mean() < 0.4
