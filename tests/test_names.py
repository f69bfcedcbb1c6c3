"""Camera names: what is one, and how anything becomes one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.errors import CameraNameError
from facestream.names import MAX_LENGTH, check_camera_name, is_camera_name, slug, unique_slug

bounded = settings(max_examples=100, deadline=None)


@pytest.mark.parametrize("name", ["a", "0", "gate-2", "cam_1.left", "a" * MAX_LENGTH])
def test_valid_names(name: str) -> None:
    assert is_camera_name(name)
    assert check_camera_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "_a", "Gate", "a b", "a/b", "a:b", "a{b}", "a*", "gate\n", "a\0", "\u0430", "a" * 64],
)
def test_invalid_names_are_refused_with_one_that_would_do(name: str) -> None:
    assert not is_camera_name(name)
    with pytest.raises(CameraNameError) as refusal:
        check_camera_name(name)
    assert "\n" not in str(refusal.value)
    assert repr(slug(name)) in str(refusal.value)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize("thing", [None, 1, b"a", ["a"], {"a": 1}, 1.5])
def test_what_is_no_text_is_no_name(thing: object) -> None:
    assert not is_camera_name(thing)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Clip.MP4", "my-clip"),
        ("/videos/Übergang Süd.mkv", "ubergang-sud"),
        ("clip", "clip"),
        ("clip.tar.gz", "clip.tar"),
        (".hidden", "hidden"),
        ("..", "camera"),
        ("", "camera"),
        ("画面.mp4", "camera"),
        ("画面 2.mp4", "2"),
        ("\ufb01lm.mp4", "film"),
        ("clip\udcff.mp4", "clip"),
        ("İstanbul.mp4", "istanbul"),
        ("--x--.mp4", "x"),
        ("a" * 62 + " b.mp4", "a" * 62),
        ("x" * 300, "x" * MAX_LENGTH),
        ("/dev/video0", "video0"),
        ("demo:", "demo"),
        ("a\nb\0c.mp4", "a-b-c"),
    ],
)
def test_slug(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://admin:secret@10.0.0.7:554/live/ch0", "ch0"),
        ("rtsp://admin:secret@10.0.0.7:554", "10.0.0.7-554"),
        ("rtsp://admin:se/cr@et#1@cam.example/", "cam.example"),
        ("http://cam/video.cgi?user=admin&password=secret", "video"),
        ("http://cam/?token=secret", "cam"),
        ("http://cam?token=secret", "cam"),
        ("rtsp://h/user=admin_password=secret_channel=1.sdp", "user"),
        ("rtsp://cam/live#secret", "live"),
    ],
)
def test_the_slug_of_an_address_holds_no_secret(address: str, name: str) -> None:
    assert slug(address) == name


def test_a_refused_name_that_is_an_address_shows_no_secret() -> None:
    with pytest.raises(CameraNameError) as refusal:
        check_camera_name("rtsp://admin:secret@10.0.0.7/live")
    assert "secret" not in str(refusal.value)
    assert "admin" not in str(refusal.value)


@bounded
@given(st.text(max_size=120))
def test_the_slug_of_anything_is_a_name(text: str) -> None:
    assert is_camera_name(slug(text))


@bounded
@given(st.lists(st.sampled_from(["a.mp4", "A.mkv", "b", "a-2.mp4", "x" * 90, "画.mp4"]), max_size=30))
def test_names_of_many_sources_are_valid_and_no_two_are_alike(texts: list[str]) -> None:
    taken: list[str] = []
    for text in texts:
        taken.append(unique_slug(text, taken))
    assert all(map(is_camera_name, taken))
    assert len(set(taken)) == len(texts)


def test_collisions_are_numbered_from_two() -> None:
    assert unique_slug("clip.mp4", {"clip"}) == "clip-2"
    assert unique_slug("clip.mp4", {"clip", "clip-2"}) == "clip-3"
    assert unique_slug("x" * 70, {"x" * 63}) == "x" * 61 + "-2"
