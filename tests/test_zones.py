"""Zones: geometry, what of a picture is sent, what a header may carry, and whose faces are reported."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import simplejpeg
from av.video.reformatter import ColorRange, Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facestream.address_policy import AddressPolicy
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.registry import Registry
from facestream.bus.taker import Delivery
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.contract import MAX_HEADER_BYTES, FrameHeader, ResultMap, unpack_result
from facestream.log import Log
from facestream.zones import MAX_MASKS, MAX_POINTS, Ring, Zone, contains, read_zone
from facestream_models import Analyser
from facestream_producer.capture import Capture, Shape
from facestream_producer.crop import MARGIN, region_of
from facestream_producer.encoder import Encoded, Encoder
from facestream_producer.fleet import Fleet
from facestream_producer.hooks import Hooks
from facestream_producer.opening import open_source
from facestream_worker.pipeline import Pipeline
from support.bus import begin, header, take, wait_until, worker
from support.portraits import make_analyser, scene
from support.rtsp import aio_server

Image = NDArray[np.uint8]

SQUARE: Ring = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
# Like the letter U: the notch in its middle, open to the top, is outside.
NOTCHED: Ring = (
    (0.1, 0.1),
    (0.4, 0.1),
    (0.4, 0.6),
    (0.6, 0.6),
    (0.6, 0.1),
    (0.9, 0.1),
    (0.9, 0.9),
    (0.1, 0.9),
)
QUARTERS: dict[str, Ring] = {
    name: tuple((x + left, y + top) for x, y in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)))
    for name, (left, top) in {
        "top left": (0.0, 0.0),
        "top right": (0.5, 0.0),
        "bottom left": (0.0, 0.5),
        "bottom right": (0.5, 0.5),
    }.items()
}


# Geometry


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((0.25, 0.3), True),
        ((0.5, 0.3), False),
        ((0.5, 0.7), True),
        ((0.75, 0.3), True),
        ((0.05, 0.5), False),
        ((0.95, 0.6), False),
        ((0.5, 0.95), False),
        # On edges and corners, those of the notch too, and level with them.
        ((0.4, 0.3), True),
        ((0.5, 0.6), True),
        ((0.4, 0.6), True),
        ((0.1, 0.1), True),
        ((0.5, 0.1), False),
        ((0.05, 0.1), False),
        ((0.05, 0.6), False),
        ((0.25, 0.6), True),
        ((0.95, 0.9), False),
    ],
)
def test_what_a_concave_polygon_contains(point: tuple[float, float], inside: bool) -> None:
    for turned in range(len(NOTCHED)):
        ring = NOTCHED[turned:] + NOTCHED[:turned]
        assert contains(ring, *point) is inside
        assert contains(ring[::-1], *point) is inside


def test_a_corner_that_the_ray_passes_through_counts_once() -> None:
    diamond: Ring = ((0.5, 0.1), (0.9, 0.5), (0.5, 0.9), (0.1, 0.5))
    assert contains(diamond, 0.3, 0.5)
    assert not contains(diamond, 0.05, 0.5)
    assert not contains(diamond, 0.05, 0.1)
    assert not contains(diamond, 0.05, 0.9)
    assert contains(diamond, 0.5, 0.1)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(3, MAX_POINTS))
def test_a_polygon_of_many_corners_is_the_circle_it_is_drawn_in(x: float, y: float, corners: int) -> None:
    angles = np.arange(corners) * 2 * np.pi / corners
    ring = tuple((0.5 + 0.4 * np.cos(angle), 0.5 + 0.4 * np.sin(angle)) for angle in angles.tolist())
    distance = float(np.hypot(x - 0.5, y - 0.5))
    inscribed = 0.4 * float(np.cos(np.pi / corners))
    if distance < inscribed - 1e-9:
        assert contains(ring, x, y)
    elif distance > 0.4 + 1e-9:
        assert not contains(ring, x, y)


def test_a_mask_takes_away_from_what_is_included() -> None:
    zone = Zone(SQUARE, (((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)),))
    assert zone.covers(0.3, 0.3)
    assert not zone.covers(0.5, 0.5)
    assert not zone.covers(0.1, 0.1)
    assert Zone(exclude=(SQUARE,)).covers(0.1, 0.1)
    assert not Zone(exclude=(SQUARE,)).covers(0.5, 0.5)
    assert Zone().covers(0.5, 0.5)


def test_a_camera_without_polygons_has_no_zone() -> None:
    assert CameraSettings().zone is None
    camera = CameraSettings.from_map(
        {"include": "0.2,0.2 0.8,0.2 0.8,0.8 0.2,0.8", "exclude": ["0,0 1,0 1,1"]}
    )
    assert camera.zone == Zone(SQUARE, (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),))


# What of a picture is sent


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.tuples(*[st.floats(0, 1)] * 4))
def test_the_region_holds_the_bounds_and_lies_in_the_picture(
    width: int, height: int, sides: tuple[float, float, float, float]
) -> None:
    left, right = sorted(sides[:2])
    top, bottom = sorted(sides[2:])
    x, y, w, h = region_of(width, height, (left, top, right, bottom))
    margin = MARGIN * min(width, height)
    assert x >= 0
    assert y >= 0
    assert w > 0
    assert h > 0
    assert x + w <= width
    assert y + h <= height
    assert x <= max(0, left * width - margin)
    assert x + w >= min(width, right * width + margin)
    assert y <= max(0, top * height - margin)
    assert y + h >= min(height, bottom * height + margin)
    assert (x % 2, y % 2) == (0, 0)


@pytest.mark.parametrize("bounds", [None, (0, 0, 1, 1), (0.05, 0.05, 0.95, 0.95), (0, 0.1, 1, 1)])
def test_what_leaves_out_too_little_is_sent_whole(bounds: tuple[float, float, float, float] | None) -> None:
    assert region_of(1280, 720, bounds) == (0, 0, 1280, 720)


@pytest.mark.parametrize("size", [(1280, 720), (1279, 719), (642, 363)])
@pytest.mark.parametrize("side", [None, 640, 333])
@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuvj420p", "nv12", "yuv444p", "yuv420p10le", "bgr24", "array"]
)
def test_the_part_shows_what_the_whole_shows_there(
    pixel_format: str, side: int | None, size: tuple[int, int]
) -> None:
    image = smooth(*size)
    picture = image if pixel_format == "array" else as_frame(image, pixel_format)
    whole = Encoder(max_side=side, quality=95).encode(picture)
    part = Encoder(max_side=side, quality=95, crop=(0.4, 0.5, 0.7, 0.8)).encode(picture)
    _x, _y, w, h = part.region
    assert w * h < 0.5 * size[0] * size[1]
    assert (part.source_width, part.source_height) == size
    # As large as it is in the whole picture, to within a pixel.
    assert abs(part.width - w * whole.width / size[0]) <= 0.5
    assert abs(part.height - h * whole.height / size[1]) <= 0.5
    difference = np.abs(seen(part)[4:-4, 4:-4].astype(int) - expected(image, part)[4:-4, 4:-4].astype(int))
    # Off by a pixel in place, a quarter of the range in colour, or a plane in shift: more than ten.
    assert difference.mean() < 3.5
    assert np.percentile(difference, 99) < 16


def test_a_format_that_cannot_be_cut_is_sent_whole() -> None:
    part = Encoder(crop=(0.4, 0.5, 0.7, 0.8)).encode(as_frame(smooth(640, 480), "yuyv422"))
    assert part.region == (0, 0, 640, 480)
    assert (part.width, part.height) == (640, 480)


def test_the_frame_given_is_left_as_it_was_and_its_size_may_change() -> None:
    encoder = Encoder(crop=(0.4, 0.5, 0.7, 0.8), quality=95)
    for size in ((640, 480), (1280, 720), (640, 480)):
        frame = as_frame(smooth(*size), "yuv420p")
        frame.pts = 77
        before = frame.to_ndarray().copy()
        part = encoder.encode(frame)
        assert part.region == region_of(*size, (0.4, 0.5, 0.7, 0.8))
        assert (frame.pts, frame.width, frame.height) == (77, *size)
        assert np.array_equal(frame.to_ndarray(), before)


# What a header may carry


def most() -> Zone:
    """The largest zone there can be, every number in need of all its digits."""
    rng = np.random.default_rng(3)

    def ring() -> Ring:
        return tuple((x, y) for x, y in rng.random((MAX_POINTS, 2)).round(5).tolist())

    return Zone(ring(), tuple(ring() for _ in range(MAX_MASKS)))


def test_the_largest_zone_fits_a_header_with_the_longest_names() -> None:
    full = header(
        camera="c" * 63, source="\U0001f600" * 500, attributes=("x" * 32,) * 16, zone=most(), seq=2**53
    )
    data = full.pack()
    assert len(data) <= MAX_HEADER_BYTES
    assert FrameHeader.unpack(data) == full


def test_a_polygon_of_the_settings_comes_back_as_it_was() -> None:
    camera = CameraSettings.from_map({"include": "0.12345,0.54321 0.99999,0.00001 1,1 0.33333,0.66667"})
    made = header(zone=camera.zone)
    assert FrameHeader.unpack(made.pack()).zone == camera.zone


def test_what_is_not_known_in_a_zone_is_ignored() -> None:
    assert read_zone({"include": [list(p) for p in SQUARE], "colour": "red"}) == Zone(SQUARE)
    assert read_zone({}) == Zone()


# End to end


@pytest.fixture(scope="module")
def analyser() -> Analyser:
    return make_analyser()


@pytest.fixture(scope="module")
def pipeline(analyser: Analyser) -> Pipeline:
    return Pipeline(analyser, "tester", 5)


def analysed(pipeline: Pipeline, picture: Any, zone: Zone | None, max_side: int | None = None) -> ResultMap:
    """As the capture sends it and a worker takes it."""
    encoder = Encoder(max_side=max_side, quality=95, crop=None if zone is None else zone.bounds)
    encoded = encoder.encode(picture)
    sent = replace(
        header(),
        width=encoded.width,
        height=encoded.height,
        source_width=encoded.source_width,
        source_height=encoded.source_height,
        region=encoded.region,
        zone=zone,
    )
    delivery = Delivery(b"cam", "1-1", 1, sent.pack(), encoded.data, len(encoded.data), 0)
    [outcome] = pipeline.settle([delivery]).outcomes
    assert outcome.reason is None
    return unpack_result(outcome.payload)


def in_source(result: ResultMap) -> list[list[float]]:
    """The faces' boxes in pixels of the picture as captured."""
    x, y, w, h = result["region"]
    across, down = w / result["width"], h / result["height"]
    boxes = [face["box"] for face in result["faces"]]
    return [[x + b[0] * across, y + b[1] * down, b[2] * across, b[3] * down] for b in boxes]


def quarter_of(box: list[float], width: int, height: int) -> str:
    x, y = (box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height
    return f"{'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}"


def overlap(a: list[float], b: list[float]) -> float:
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, w) * max(0.0, h)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


@pytest.mark.parametrize("max_side", [None, 480])
@pytest.mark.parametrize("kind", ["array", "yuv420p"])
@pytest.mark.parametrize("quarter", list(QUARTERS))
def test_only_the_face_inside_is_reported_and_where_it_is(
    pipeline: Pipeline, quarter: str, kind: str, max_side: int | None
) -> None:
    picture = scene() if kind == "array" else as_frame(scene(), kind)
    everywhere = {quarter_of(box, 640, 640): box for box in in_source(analysed(pipeline, picture, None))}
    assert set(everywhere) == set(QUARTERS)
    result = analysed(pipeline, picture, Zone(QUARTERS[quarter]), max_side)
    assert result["region"][2] * result["region"][3] < 0.6 * 640 * 640
    [box] = in_source(result)
    assert overlap(box, everywhere[quarter]) > 0.75


@pytest.mark.parametrize("quarter", list(QUARTERS))
def test_a_masked_face_is_not_reported_and_the_others_are(pipeline: Pipeline, quarter: str) -> None:
    result = analysed(pipeline, scene(), Zone(exclude=(QUARTERS[quarter],)))
    assert result["region"] == [0, 0, 640, 640]
    assert sorted(quarter_of(box, 640, 640) for box in in_source(result)) == sorted(set(QUARTERS) - {quarter})
    assert all("gender" in face["attributes"] for face in result["faces"])


def test_a_mask_within_what_is_included(pipeline: Pipeline) -> None:
    left: Ring = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    result = analysed(pipeline, scene(), Zone(left, (QUARTERS["top left"],)))
    assert result["region"][2] < 640
    assert [quarter_of(box, 640, 640) for box in in_source(result)] == ["bottom left"]


def test_a_zone_that_holds_nobody(pipeline: Pipeline) -> None:
    corner: Ring = ((0.0, 0.0), (0.03, 0.0), (0.03, 0.03), (0.0, 0.03))
    assert analysed(pipeline, scene(), Zone(corner))["faces"] == []


def test_a_capture_sends_the_part_and_its_zone(
    connection: Connection, pipeline: Pipeline, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    zone = Zone(QUARTERS["top right"], (((0.9, 0.9), (1.0, 0.9), (1.0, 1.0)),))
    shape = Shape(max_side=640, quality=90, max_age_ms=None, attributes=None, zone=zone)
    source = open_source(str(tmp_path / "scene.png"))
    assert Capture(source, begin(connection, "cam"), shape, Hooks(), threading.Event()).run() is None

    [delivery] = take(worker(connection))
    sent = FrameHeader.unpack(delivery.header)
    assert sent.zone == zone
    assert sent.region == region_of(640, 640, zone.bounds)
    result = unpack_result(pipeline.settle([delivery]).outcomes[0].payload)
    assert [quarter_of(box, 640, 640) for box in in_source(result)] == ["top right"]


def test_a_registered_cameras_zone_reaches_its_frames(
    broker: EmbeddedBroker, prefix: str, connection: Connection, tmp_path: Path
) -> None:
    policy = AddressPolicy(allow_loopback=True)
    settings = CameraSettings.from_map({"include": "0,0 0.5,0 0.5,0.5 0,0.5", "fps": 5})
    shape, stop = Shape(640, 80, None, None), threading.Event()
    with aio_server(tmp_path) as server, Registry(broker.url, prefix=prefix, policy=policy) as registry:
        registry.add("gate", CameraUrl.parse(server.url, policy), settings)
        fleet = Fleet(
            connection,
            registry,
            "p:1",
            shape,
            Hooks(),
            Log("producer", stream=io.StringIO()),
            stop,
            max_cameras=1,
        )
        running = threading.Thread(target=fleet.run)
        running.start()
        taker = worker(connection)
        deliveries: list[Delivery] = []

        def some_came() -> bool:
            deliveries.extend(take(taker))
            return bool(deliveries)

        try:
            wait_until(some_came, "a frame came")
        finally:
            stop.set()
            running.join()
    sent = FrameHeader.unpack(deliveries[0].header)
    assert sent.zone == settings.zone
    assert sent.region == region_of(sent.source_width, sent.source_height, (0, 0, 0.5, 0.5))
    assert sent.region[2] < sent.source_width


def test_faces_of_a_batch_are_judged_each_by_its_own_zone(analyser: Analyser) -> None:
    image = scene()
    found = analyser.analyse(
        [image, image, image], choose=[None, lambda faces: faces.boxes[:, 0] < 320, None]
    )
    assert [len(faces) for faces in found] == [4, 2, 4]
    assert [len(faces.attributes["gender"]) for faces in found] == [4, 2, 4]
    before = {
        tuple(box): found[0].attributes["gender"].to_map(index)
        for index, box in enumerate(found[0].boxes.tolist())
    }
    for index, box in enumerate(found[1].boxes.tolist()):
        assert found[1].attributes["gender"].to_map(index)["label"] == before[tuple(box)]["label"]


def smooth(width: int, height: int) -> Image:
    y, x = np.mgrid[0:height, 0:width]
    across, down = x / width, y / height
    blue = 127 + 120 * np.sin(5 * across + 3 * down)
    green = 127 + 120 * np.sin(4 * across - 6 * down + 1)
    red = 127 + 120 * np.cos(3 * across + 2 * down)
    return np.stack([blue, green, red], axis=-1).astype(np.uint8)


def as_frame(image: Image, pixel_format: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, "bgr24")
    if pixel_format == "bgr24":
        return frame
    return frame.reformat(
        format=pixel_format, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


def seen(encoded: Encoded) -> Image:
    return np.asarray(simplejpeg.decode_jpeg(encoded.data, "BGR"))


def expected(image: Image, encoded: Encoded) -> Image:
    x, y, w, h = encoded.region
    part = np.ascontiguousarray(image[y : y + h, x : x + w])
    return np.asarray(
        cv2.resize(part, (encoded.width, encoded.height), interpolation=cv2.INTER_AREA), np.uint8
    )
