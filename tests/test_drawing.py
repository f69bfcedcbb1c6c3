"""Boxes and labels: where they must be, in the colours that mean something, whatever the picture's size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facestream_models.drawing import COLOURS, FOUND, draw_faces

Pixels = NDArray[np.uint8]


def face(box: list[float], label: str | None = "female", years: float | None = None) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if label is not None:
        attributes["gender"] = {"label": label, "score": 0.9876}
    if years is not None:
        attributes["age"] = {"years": years, "score": 0.5}
    return {"box": box, "score": 0.93, "landmarks": [[0, 0]] * 5, "attributes": attributes}


def blank(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), 90, np.uint8)


def painted(image: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.all(image == np.array(colour, np.uint8), axis=2)


def filled_rows(image: Pixels, colour: tuple[int, int, int]) -> list[int]:
    """The rows of the label: those with more of the colour than two upright lines have."""
    return [row for row, count in enumerate(painted(image, colour).sum(axis=1)) if count > 20]


@pytest.mark.parametrize(
    ("label", "colour"),
    [(None, FOUND), ("dog", COLOURS["unknown"]), *COLOURS.items()],
)
def test_the_colour_is_that_of_the_label(label: str | None, colour: tuple[int, int, int]) -> None:
    image = blank(400, 600)
    drawn = draw_faces(image, [face([200, 150, 120, 150], label)])
    assert painted(drawn, colour).sum() > 1000
    for other in {FOUND, *COLOURS.values()} - {colour}:
        assert not painted(drawn, other).any()
    assert (image == 90).all()
    assert drawn is not image


@pytest.mark.parametrize(("height", "width"), [(300, 300), (720, 1280), (1500, 4000), (4000, 3000)])
def test_the_box_is_where_the_face_is_and_its_inside_stays_free(height: int, width: int) -> None:
    x, y, w, h = width * 0.4, height * 0.4, width * 0.2, height * 0.25
    drawn = draw_faces(blank(height, width), [face([x, y, w, h])])
    orange = painted(drawn, COLOURS["female"])
    middle_row, middle_column = round(y + h / 2), round(x + w / 2)
    assert orange[middle_row, round(x)]
    assert orange[middle_row, round(x + w)]
    assert orange[round(y + h), middle_column]
    inside = drawn[round(y + h * 0.2) : round(y + h * 0.8), round(x + w * 0.2) : round(x + w * 0.8)]
    assert (inside == 90).all()


@pytest.mark.parametrize(("height", "width"), [(300, 300), (720, 1280), (4000, 3000)])
def test_the_label_grows_with_the_picture(height: int, width: int) -> None:
    drawn = draw_faces(blank(height, width), [face([width * 0.3, height * 0.3, width * 0.4, height * 0.4])])
    orange = painted(drawn, COLOURS["female"])
    label = orange[: round(height * 0.3)]
    label_height = np.flatnonzero(label.any(axis=1)).size
    size = float(np.sqrt(height * width))
    assert 0.025 * size <= label_height <= max(0.08 * size, 30)


@pytest.mark.parametrize(
    "place", [(0, 0), (0.45, 0), (0.8, 0), (0, 0.4), (0.8, 0.4), (0, 0.75), (0.45, 0.75), (0.8, 0.75)]
)
def test_a_label_is_whole_wherever_the_face_is(place: tuple[float, float]) -> None:
    height, width = 480, 640

    def label_pixels(x: float, y: float) -> int:
        with_label = draw_faces(blank(height, width), [face([x, y, 128, 120], "male", 34)])
        return int(painted(with_label, COLOURS["male"]).sum())

    free = label_pixels(0.4 * width, 0.4 * height)
    # A label that lies on its own box's line hides a little of it, no more.
    assert label_pixels(place[0] * width, place[1] * height) > free * 0.85


def test_labels_keep_off_one_another() -> None:
    alone = draw_faces(blank(480, 640), [face([200, 200, 40, 40], "male")])
    apart = draw_faces(blank(480, 640), [face([x, 200, 40, 40], "male") for x in (200, 246, 292)])
    one, three = (int(painted(image, COLOURS["male"]).sum()) for image in (alone, apart))
    assert three > one * 2.7


def test_an_age_makes_the_label_longer_and_one_that_is_not_known_does_not() -> None:
    boxes = [100.0, 200.0, 200.0, 200.0]
    plain = filled_rows(draw_faces(blank(480, 640), [face(boxes)]), COLOURS["female"])
    assert plain
    row = plain[len(plain) // 2]
    widths = []
    for years in (None, 34.4, 104.0):
        drawn = draw_faces(blank(480, 640), [face(boxes, years=years)])
        widths.append(np.flatnonzero(painted(drawn, COLOURS["female"])[row]).max())
    assert widths[0] < widths[1] < widths[2]
    unknown = face(boxes)
    unknown["attributes"]["age"] = {"years": None, "score": 0.0}
    assert np.array_equal(draw_faces(blank(480, 640), [unknown]), draw_faces(blank(480, 640), [face(boxes)]))


def test_a_score_is_never_drawn_as_certain() -> None:
    sure, nearly = face([100, 100, 200, 200]), face([100, 100, 200, 200])
    sure["attributes"]["gender"]["score"], nearly["attributes"]["gender"]["score"] = 0.9999, 0.9901
    first, second = (draw_faces(blank(480, 640), [each]) for each in (sure, nearly))
    assert np.array_equal(first, second)


def test_no_face_changes_nothing() -> None:
    image = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    assert np.array_equal(draw_faces(image, []), image)


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    boxes=st.lists(st.tuples(*[st.floats(-300, 300)] * 2, *[st.floats(0, 400)] * 2), max_size=6),
    label=st.sampled_from(["female", "male", "unknown", "grün", "", None]),
    years=st.one_of(st.none(), st.floats(0, 100)),
)
def test_any_box_on_any_picture(
    height: int, width: int, boxes: list[tuple[float, ...]], label: str | None, years: float | None
) -> None:
    image = blank(height, width)
    drawn = draw_faces(image, [face(list(box), label, years) for box in boxes])
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (image == 90).all()
