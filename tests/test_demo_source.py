"""The demo scene: the same every time, four faces always whole and apart, and its truth is true."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
import simplejpeg

from facestream.errors import UsageError
from facestream_models.analyser import Analyser
from facestream_models.catalogue import load_catalogue
from facestream_models.faces import Labels
from facestream_models.store import WeightsStore
from facestream_producer.demo import HEIGHT, WIDTH, DemoSource, parse_demo
from facestream_producer.encoder import Encoder
from support.weights import pull_or_skip

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_four_faces_are_always_whole_apart_and_of_a_good_size(seed: int) -> None:
    demo = DemoSource(seed=seed, seconds=60)
    for seq in range(0, 1800, 7):
        truth = demo.truth(seq)
        assert sorted(gender for _, gender in truth) == ["female", "female", "male", "male"]
        for (x, y, width, height), _ in truth:
            assert x >= 0
            assert y >= 0
            assert x + width <= WIDTH
            assert y + height <= HEIGHT
            assert 90 <= height <= 200
        for ((left_x, _, left_width, _), _), ((right_x, _, _, _), _) in itertools.pairwise(truth):
            assert left_x + left_width < right_x


def test_the_same_seed_gives_the_same_scene_and_another_another() -> None:
    one, same, other = DemoSource(seed=3), DemoSource(seed=3), DemoSource(seed=4)
    for seq in (0, 1, 150, 299):
        assert np.array_equal(one.picture(seq), same.picture(seq))
        assert one.truth(seq) == same.truth(seq)
        assert not np.array_equal(one.picture(seq), other.picture(seq))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert DemoSource(seconds=5).fingerprint() != DemoSource(seconds=6).fingerprint()


def test_motion_is_smooth() -> None:
    demo = DemoSource()
    boxes = np.array([[box for box, _ in demo.truth(seq)] for seq in range(300)])
    steps = np.abs(np.diff(boxes, axis=0))
    assert steps.max() < 8
    assert boxes[:, :, :2].std(axis=0).max() > 50


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_true_boxes_are_where_the_portraits_are(seed: int) -> None:
    """What a true box cuts out is the same face at any time."""
    demo = DemoSource(seed=seed)
    patches = [[cut(demo.picture(seq), box) for box, _ in demo.truth(seq)] for seq in (0, 97, 211)]
    for early, *later in zip(*patches, strict=True):
        for late in later:
            assert correlation(early, late) > 0.97
    # Neighbours are other faces, or the same one mirrored.
    for left, right in itertools.combinations(patches[0], 2):
        assert correlation(left, right) < 0.95


def cut(picture: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    x, y, width, height = box
    size = (48, 64)
    place = np.array(
        [[size[0] / width, 0, -x * size[0] / width], [0, size[1] / height, -y * size[1] / height]]
    )
    return cv2.warpAffine(picture, place, size, flags=cv2.INTER_AREA)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_frames_are_counted_and_timed() -> None:
    demo = DemoSource(seconds=0.5, fps=24)
    frames = list(demo.frames())

    assert demo.length == len(frames) == 12
    assert [frame.pts_us for frame in frames] == [round(n * 1e6 / 24) for n in range(12)]
    assert isinstance(frames[3].picture, np.ndarray)
    assert frames[3].picture.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(frames[3].picture, demo.picture(3))


def test_the_default_is_ten_seconds() -> None:
    demo = parse_demo("demo:")
    assert (demo.length, demo.fps, demo.seed, demo.name) == (300, 30.0, 1, "demo:")


def test_settings_are_in_the_name() -> None:
    demo = parse_demo("demo:seconds=5,seed=3,fps=24")
    assert (demo.length, demo.fps, demo.seed) == (120, 24.0, 3)
    assert demo.name == "demo:seconds=5,seed=3,fps=24"


@pytest.mark.parametrize(
    "settings",
    ["speed=3", "seconds", "seconds=", "fps=0", "seconds=nan", "seconds=1e9", "seed=-1", "x", "=1"],
)
def test_unknown_settings_are_refused(settings: str) -> None:
    with pytest.raises(UsageError, match="write demo: or demo:seconds=5,seed=3,fps=30"):
        parse_demo(f"demo:{settings}")


def test_a_frame_is_a_jpeg_of_ordinary_size() -> None:
    done = Encoder(max_side=640).encode(DemoSource().picture(42))
    assert (done.width, done.height) == (640, 360)
    assert 8_000 < len(done.data) < 60_000


def test_the_default_models_find_what_is_true() -> None:
    """The scene is the product's own yardstick: every face found, nothing else, and labelled right."""
    catalogue, store = load_catalogue(), WeightsStore()
    pull_or_skip(store, [catalogue.for_role("detector"), catalogue.for_role("gender")])
    analyser, demo = Analyser(weights=store, catalogue=catalogue), DemoSource(seed=5)
    encoder, right = Encoder(max_side=640), 0
    for seq in range(0, 300, 25):
        faces = analyser(np.asarray(simplejpeg.decode_jpeg(encoder.encode(demo.picture(seq)).data, "BGR")))
        assert len(faces) == 4
        genders = faces.attributes["gender"]
        assert isinstance(genders, Labels)
        found = sorted(zip(faces.boxes.tolist(), genders.labels, strict=True))
        for (true_box, true_gender), (box, gender) in zip(demo.truth(seq), found, strict=True):
            assert overlap(true_box, tuple(side * 2 for side in box)) > 0.7
            right += gender == true_gender
    assert right >= 47  # of 48


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(across, 0) * max(down, 0)
    return both / (one[2] * one[3] + other[2] * other[3] - both)
