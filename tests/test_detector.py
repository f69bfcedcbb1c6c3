"""The detector: YuNet as OpenCV's own class runs it, in pictures of any size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.errors import CatalogueError
from facestream_models import Analyser, Faces
from facestream_models.catalogue import load_catalogue
from facestream_models.scaling import resized
from facestream_models.yunet import MAX_FACES, OUTPUTS, YuNet, _decode, _suppress
from support.engines import every_engine, opened
from support.portraits import NAMES, Image, make_analyser, mirrored, portrait, scene, weights


def make_yunet(engine: str = "onnxruntime", **options: float) -> YuNet:
    path = weights().derived(load_catalogue().for_role("detector"))
    session = opened(path, engine, OUTPUTS, prefer_nhwc=True)
    return YuNet(session, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return make_yunet()


def as_opencv_finds_them(image: Image) -> np.ndarray:
    """(n, 15): box, landmarks, score; sides of the picture are multiples of 32."""
    path = weights().path(load_catalogue().for_role("detector"))
    height, width = image.shape[:2]
    detector = cv2.FaceDetectorYN.create(str(path), "", (width, height), 0.6, 0.3, 5000)
    found = detector.detect(image)[1]
    return np.empty((0, 15), np.float32) if found is None else found


def assert_inside(faces: Faces, image: Image) -> None:
    height, width = image.shape[:2]
    assert (faces.boxes[:, :2] >= 0).all()
    assert (faces.boxes[:, 2:] > 0).all()
    assert (faces.boxes[:, :2] + faces.boxes[:, 2:] <= (width, height)).all()


@pytest.mark.parametrize("flip", [False, True])
def test_faces_equal_those_of_opencvs_own_detector(yunet: YuNet, flip: bool) -> None:
    image = mirrored(scene()) if flip else scene()
    expected = as_opencv_finds_them(image)

    faces = yunet.detect(image)

    assert len(faces) == len(expected) == 4
    np.testing.assert_allclose(faces.boxes, expected[:, :4], atol=0.05)
    np.testing.assert_allclose(faces.landmarks.reshape(-1, 10), expected[:, 4:14], atol=0.05)
    np.testing.assert_allclose(faces.scores, expected[:, 14], atol=1e-4)


def test_a_larger_picture_has_the_same_faces_in_its_own_pixels(yunet: YuNet) -> None:
    image = scene()
    larger = np.asarray(cv2.resize(image, (1920, 1920), interpolation=cv2.INTER_CUBIC), np.uint8)

    faces, small = yunet.detect(larger), yunet.detect(image)

    assert len(faces) == len(small) == 4
    assert_inside(faces, larger)
    np.testing.assert_allclose(np.sort(faces.boxes, axis=0) / 3, np.sort(small.boxes, axis=0), atol=4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flip", [False, True])
def test_each_portrait_has_one_face(yunet: YuNet, name: str, flip: bool) -> None:
    image = mirrored(portrait(name)) if flip else portrait(name)

    faces = yunet.detect(image)

    assert len(faces) == 1
    assert_inside(faces, image)
    right_eye, left_eye, nose, *mouth = faces.landmarks[0]
    assert right_eye[0] < left_eye[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(corner[1] for corner in mouth)


@pytest.mark.parametrize("width_px", [20, 60, 120, 320])
def test_a_small_picture_has_its_face(yunet: YuNet, width_px: int) -> None:
    image = portrait("luispedro.jpg")
    small = np.asarray(
        cv2.resize(image, (width_px, width_px * 377 // 300), interpolation=cv2.INTER_AREA), np.uint8
    )

    assert len(yunet.detect(small)) == 1


@pytest.mark.parametrize("side_px", [320, 640, 1600])
def test_a_face_that_fills_the_picture_is_found(yunet: YuNet, side_px: int) -> None:
    face = portrait("luispedro.jpg")[97:304, 59:203]
    image = np.asarray(cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_CUBIC), np.uint8)

    faces = yunet.detect(image)

    assert len(faces) == 1
    assert faces.boxes[0, 2:].min() > 0.75 * side_px
    assert_inside(faces, image)


def test_boxes_of_faces_cut_by_the_edge_stay_inside(yunet: YuNet) -> None:
    image = portrait("astronaut.png")[:135]

    faces = yunet.detect(image)

    assert len(faces) == 1
    assert faces.boxes[0, 1] + faces.boxes[0, 3] == 135
    assert_inside(faces, image)


def test_faces_come_best_first_and_above_the_score_asked_for(yunet: YuNet) -> None:
    every = yunet.detect(scene())
    between = float(every.scores[1:3].mean())

    few = make_yunet(min_score=between).detect(scene())

    assert every.scores.tolist() == sorted(every.scores.tolist(), reverse=True)
    np.testing.assert_allclose(few.scores, every.scores[:2])


@every_engine
@pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (5000, 3), (1, 70_000), (31, 33), (224, 224), (641, 2)])
def test_pictures_of_odd_shapes_are_looked_at(shape: tuple[int, int], engine: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)

    assert len(make_yunet(engine).detect(noise)) == 0


def test_a_picture_leaves_no_trace_in_the_next(yunet: YuNet) -> None:
    """The network's input is reused: its padding must be black again for every shape."""
    image = portrait("luispedro.jpg")
    expected = make_yunet().detect(image)
    for shape in [(377, 300), (383, 301), (360, 290)]:
        yunet.detect(np.full((*shape, 3), 255, np.uint8))

    np.testing.assert_array_equal(yunet.detect(image).boxes, expected.boxes)


def test_a_hostile_picture_gives_a_bounded_number_of_faces() -> None:
    """Every cell of a large picture says: a face, small enough to overlap no other."""
    heads = []
    for stride in (8, 16, 32):
        cells = 1280 // stride
        head = np.zeros((16, cells, cells), np.float32)
        head[:2] = 5
        head[2:6] = -3
        heads.append(head)

    found = _suppress(_decode(heads, 0.6))

    assert len(found.scores) == MAX_FACES


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((300, 377), 1, (300, 377)),
        ((1, 70_000), 0.01, (1, 700)),
        ((99, 55), 2, (198, 110)),
        ((4001, 3), 0.1, (400, 1)),
    ],
)
def test_pictures_are_resized_to_the_nearest_pixel(
    size: tuple[int, int], ratio: float, expected: tuple[int, int]
) -> None:
    image = np.full((*size, 3), 77, np.uint8)

    scaled = resized(image, ratio)

    assert scaled.shape == (*expected, 3)
    assert (scaled == 77).all()


def test_a_detector_may_be_named_with_or_without_its_version() -> None:
    assert make_analyser(()).models == Analyser((), detector="yunet-2023mar", weights=weights()).models

    with pytest.raises(CatalogueError, match="no detector is called 'haar': there are yunet-2023mar"):
        Analyser((), detector="haar", weights=weights())


@every_engine
def test_pictures_of_one_size_are_looked_at_together(
    engine: str, yunet: YuNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an engine on a GPU wants them: in runs of two here, among pictures of other sizes."""
    several = make_yunet(engine)
    monkeypatch.setattr(several._session, "best_batch", 2)
    black = np.zeros((640, 640, 3), np.uint8)
    images = [scene(), portrait("astronaut.png"), mirrored(scene()), black, scene()]
    alone = make_yunet(engine)

    together = several.detect_all(images)

    assert [len(faces) for faces in together] == [4, 1, 4, 0, 4]
    for image, faces in zip(images, together, strict=True):
        np.testing.assert_allclose(faces.boxes, alone.detect(image).boxes, atol=0.05)
