"""A camera's settings: what is taken, what is refused and in which words, and states as they are shown."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.camera_state import MAX_BYTES, MAX_ERROR, CameraState
from facestream.cameras import KEYS, CameraSettings, read_text
from facestream.errors import UsageError
from facestream.lines import read_lines
from facestream.zones import MAX_MASKS, MAX_POINTS, Polygon, read_polygon

bounded = settings(max_examples=150, deadline=None)

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


def refused(values: dict[str, object]) -> str:
    with pytest.raises(UsageError) as refusal:
        CameraSettings.from_map(values)
    message = str(refusal.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


@st.composite
def stars(draw: st.DrawFn) -> Polygon:
    """A polygon around a middle: its edges never cross."""
    count = draw(st.integers(3, MAX_POINTS))
    reaches = draw(st.lists(st.floats(0.1, 0.5), min_size=count, max_size=count))
    turns = [2 * math.pi * number / count for number in range(count)]
    return Polygon(
        tuple(
            (0.5 + reach * math.cos(turn), 0.5 + reach * math.sin(turn))
            for reach, turn in zip(reaches, turns, strict=True)
        )
    )


everything = st.builds(
    CameraSettings,
    fps=st.none() | st.floats(0.1, 120),
    max_side=st.none() | st.integers(64, 8192),
    quality=st.none() | st.integers(20, 100),
    max_age_ms=st.none() | st.integers(1, 3_600_000),
    attributes=st.none() | st.lists(st.sampled_from(["gender", "age", "x-1"]), unique=True).map(tuple),
    transport=st.sampled_from(["tcp", "udp"]),
    stall_timeout_ms=st.integers(500, 600_000),
    motion_gate=st.booleans(),
    max_gap_ms=st.integers(100, 3_600_000),
    include=st.none() | stars(),
    exclude=st.lists(stars(), max_size=3).map(tuple),
    lines=st.just(()) | st.just(read_lines(["door: 0.1,0.5 0.9,0.5", "gate: 0,0 1,1"])),
    paused=st.booleans(),
)


@bounded
@given(everything)
def test_settings_come_back_from_their_map(camera: CameraSettings) -> None:
    for whole in (False, True):
        values = json.loads(json.dumps(camera.to_map(whole=whole)))
        assert CameraSettings.from_map(values) == camera
    assert set(camera.to_map(whole=True)) == set(KEYS)


@bounded
@given(
    st.dictionaries(
        st.sampled_from([*KEYS, "nonsense"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=12,
        ),
        max_size=4,
    )
)
def test_any_value_is_taken_or_refused_in_one_line(values: dict[str, object]) -> None:
    try:
        camera = CameraSettings.from_map(values)
    except UsageError as error:
        shown = str(error)
    else:
        shown = json.dumps(camera.to_map(whole=True))
    assert "\n" not in shown


def test_the_defaults_need_no_word() -> None:
    assert CameraSettings().to_map() == {}
    assert CameraSettings.from_map(dict.fromkeys(KEYS)) == CameraSettings()


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("2s", 2000),
        ("1m", 60_000),
        ("0.5s", 500),
        ("2 s", 2000),
        ("1.5m", 90_000),
        ("1ms", 1),
    ],
)
def test_times_have_units(text: str, milliseconds: int) -> None:
    camera = CameraSettings.from_map({"max_age": text})
    assert camera.max_age_ms == milliseconds
    assert CameraSettings.from_map(camera.to_map()) == camera


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fps": 0}, "fps must be a number from 0.1 to 120, not 0"),
        ({"fps": 121}, "fps must be"),
        ({"fps": "5"}, "not '5'"),
        ({"fps": True}, "not True"),
        ({"fps": math.nan}, "not nan"),
        ({"fps": [5]}, "not list"),
        ({"max_side": 63}, "max_side must be a whole number from 64 to 8192, not 63"),
        ({"max_side": 640.0}, "whole number"),
        ({"quality": 101}, "from 20 to 100"),
        ({"max_age": 500}, "max_age must be a time from 1ms to 60m, such as 500ms, 2s or 1m, not 500"),
        ({"max_age": "500"}, "such as 500ms"),
        ({"max_age": "-1s"}, "such as 500ms"),
        ({"max_age": "0ms"}, "not '0ms'"),
        ({"max_age": "61m"}, "not '61m'"),
        ({"stall_timeout": "100ms"}, "from 500ms to 10m"),
        ({"attributes": "gender,,age"}, "attributes must be none"),
        ({"attributes": ["Gender"]}, "attributes must be none"),
        ({"attributes": [f"a{number}" for number in range(17)]}, "at most 16"),
        ({"transport": "TCP"}, "tcp or udp"),
        ({"motion_gate": "yes"}, "true or false"),
        ({"motion_gate": 1}, "true or false"),
        ({"include": "0,0 1,0"}, "include: a polygon has 3 to 64 points, this one 2"),
        ({"include": SQUARE * 20}, "3 to 64 points"),
        ({"include": "0,0 1,0 1,2"}, "1,2 lies outside of the picture"),
        ({"include": "0,0 1,0 1,-1"}, "include: a polygon is points"),
        ({"include": "0,0 640,0 640,360"}, "640,0 lies outside"),
        ({"include": "0,0 0.5,0.5 1,1"}, "no area"),
        ({"include": "0,0 1,1 1,0 0,0.5"}, "cross"),
        ({"include": [[0, 0], [1, 0], [1, True]]}, "a polygon is points"),
        ({"include": [[0, 0], [1, 0], [1, math.inf]]}, "a polygon is points"),
        ({"include": {"x": 1}}, "a polygon is points"),
        ({"exclude": "0,0 1,0 1,1"}, "at most 16 polygons"),
        ({"exclude": [SQUARE] * (MAX_MASKS + 1)}, "at most 16 polygons"),
        ({"exclude": [SQUARE, "0,0"]}, "exclude: a polygon has"),
        ({"max_sise": 5}, "'max_sise' is no setting of a camera: did you mean max_side?"),
        ({"max-side": 5}, "did you mean max_side?"),
        ({"max_age_ms": 5}, "did you mean max_age?"),
        ({"qqqqqq": 5}, "known are fps, max_side"),
        ({"rtsp://u:ZQX@h": 5}, "known are fps"),
        ({"fps": "rtsp://u:ZQX@h"}, "not 'rtsp://***@h'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: dict[str, object], says: str) -> None:
    message = refused(values)
    assert says in message
    assert "ZQX" not in message


def test_settings_made_in_python_are_checked_alike() -> None:
    for wrong in (
        {"fps": 1000.0},
        {"max_age_ms": "500ms"},
        {"transport": None},
        {"exclude": None},
        {"paused": 1},
    ):
        with pytest.raises(UsageError):
            CameraSettings(**wrong)


def test_what_is_typed_is_read_by_the_kind_of_setting() -> None:
    typed = {
        "fps": "7.5",
        "max_side": "640",
        "max_age": "2s",
        "attributes": "Gender,age",
        "motion_gate": "Yes",
        "include": "0,0 1,0 .5,1",
        "exclude": "0,0 .1,0 0,.1; .5,.5 .6,.5 .5,.6;",
        "transport": "UDP",
        "quality": "",
    }
    camera = CameraSettings.from_map({key: read_text(key, text) for key, text in typed.items()})
    assert (camera.fps, camera.max_side, camera.max_age_ms) == (7.5, 640, 2000)
    assert (camera.attributes, camera.motion_gate, camera.transport) == (("gender", "age"), True, "udp")
    assert camera.include == Polygon(((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)))
    assert len(camera.exclude) == 2
    assert CameraSettings.from_map({"attributes": read_text("attributes", "none")}).attributes == ()
    with pytest.raises(UsageError, match="not 'five'"):
        CameraSettings.from_map({"fps": read_text("fps", "five")})


def test_a_polygon_knows_its_bounds_and_is_as_wide_in_text() -> None:
    polygon = read_polygon("0.25,0.1 0.75,0.123456789 0.5,0.9")
    assert polygon.bounds == (0.25, 0.1, 0.75, 0.9)
    assert polygon.points[1] == (0.75, 0.12346)
    assert read_polygon(polygon.to_text()) == polygon
    assert read_polygon(polygon.to_list()) == polygon


# States


def test_a_state_is_one_plain_line_without_credentials() -> None:
    error = f"cannot open 'rtsp://admin:ZQX{'x' * 1000}@10.0.0.7/live':\n\x1b[2J 401 " + "é" * 5000
    state = CameraState("unauthorized", 1_700_000_000_000_000, error, "producer-1")
    assert state.error is not None
    assert state.error.startswith("cannot open 'rtsp://***@10.0.0.7/live': [2J 401")
    assert len(state.error) == MAX_ERROR
    assert state.error.isprintable()
    assert len(state.pack().encode()) <= MAX_BYTES
    assert CameraState.unpack(state.pack().encode()) == state


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b'{"state": "live"}',
        b'{"state": "dead", "since_us": 1}',
        b'{"state": ["live"], "since_us": 1}',
        b'{"state": "live", "since_us": true}',
        b'{"state": "live", "since_us": -1}',
        b'{"state": "live", "since_us": 1e400}',
        b'{"state": "live", "since_us": 1, "error": 5}',
        b'{"state": "live", "since_us": 1, "holder": null}',
        b"[" * 4000,
        b'{"state": "live", "since_us": 1, "error": "' + b"x" * 5000 + b'"}',
    ],
)
def test_what_is_no_state_is_none(packed: bytes) -> None:
    assert CameraState.unpack(packed) is None


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(UsageError, match="'asleep' is no state: connecting, "):
        CameraState("asleep", 0)  # type: ignore[arg-type]
