"""Cameras stay attached, whatever goes wrong; test_conformance.py has what all sources promise."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from facestream.address_policy import AddressPolicy
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream_producer import live
from facestream_producer.live import LiveSource
from facestream_producer.source import SourceFrame, now_us
from support.clips import bgr, number_of
from support.ports import free_port
from support.rtsp import CLIP_FPS, CLIP_FRAMES, RtspServer, aio_server, gst_missing, gst_server
from support.web import WebCamera, web_camera

STEP_US = 1_000_000 // CLIP_FPS
STALL_SECONDS = 1.0
LOOPBACK = AddressPolicy(allow_loopback=True)

needs_gst = pytest.mark.skipif(gst_missing() is not None, reason=gst_missing() or "")


def url(text: str) -> CameraUrl:
    return CameraUrl.parse(text, LOOPBACK)


@dataclass
class States:
    """What a source said of itself, and who waits for it."""

    said: list[CameraState] = field(default_factory=list)
    when: dict[str, Callable[[], object]] = field(default_factory=dict)

    def __call__(self, state: CameraState) -> None:
        self.said.append(state)
        self.when.pop(state.state, lambda: None)()

    @property
    def names(self) -> list[str]:
        return [state.state for state in self.said]

    def error_of(self, name: str) -> str:
        return next(state.error or "" for state in self.said if state.state == name)


def camera(address: str, **options: Any) -> tuple[LiveSource, States]:
    states = States()
    options = {"stall_seconds": STALL_SECONDS, "open_seconds": 2.0} | options
    return LiveSource("lobby", url(address), on_state=states, **options), states


def numbers(frames: list[SourceFrame]) -> list[int]:
    return [number_of(bgr(frame.picture)) for frame in frames]


def follow(frames: list[SourceFrame], step: int = 1) -> bool:
    """Whether the pictures' numbers go up by `step`, over the clip's end."""
    seen = numbers(frames)
    return all((later - earlier) % CLIP_FRAMES == step for earlier, later in pairwise(seen))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cameras")


@pytest.fixture(scope="module")
def aio(folder: Path) -> Iterator[RtspServer]:
    with aio_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def gst(folder: Path) -> Iterator[RtspServer]:
    missing = gst_missing()
    if missing:
        pytest.skip(missing)
    with gst_server(folder) as server:
        yield server


# ---- what goes wrong -------------------------------------------------------------------------------


@pytest.fixture(params=["aio", "gst"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[RtspServer]:
    """One of its own: it is going to be hurt."""
    if request.param == "gst" and (missing := gst_missing()):
        pytest.skip(missing)
    with aio_server(folder) if request.param == "aio" else gst_server(folder) as running:
        yield running


def test_a_camera_that_restarts_is_attached_again(server: RtspServer) -> None:
    source, states = camera(server.url)
    frames = source.frames()
    before = list(islice(frames, 10))
    server.kill()
    states.when["failed"] = server.start
    after = []
    for frame in frames:
        after.append(frame)
        if states.names.count("live") == 2 and len(after) > 20:
            break
    source.close()

    assert states.names == ["connecting", "live", "connecting", "failed", "live"]
    assert states.said[2].error
    assert "nobody listens there" in states.error_of("failed")
    assert states.said[-1].error is None
    times = [frame.pts_us for frame in [*before, *after]]
    assert times == sorted(times)


def test_a_camera_that_freezes_is_stalled_and_comes_back(server: RtspServer) -> None:
    source, states = camera(server.url)
    frames = source.frames()
    list(islice(frames, 10))
    server.freeze()
    states.when["stalled"] = server.thaw
    while states.names.count("live") < 2:
        next(frames)
    source.close()

    assert states.names[:3] == ["connecting", "live", "stalled"]
    assert "sends nothing any more" in states.error_of("stalled")


def test_a_frozen_camera_does_not_hold_up_its_closing(server: RtspServer) -> None:
    source, states = camera(server.url)
    frames = source.frames()
    next(frames)
    server.freeze()
    states.when["stalled"] = source.close

    assert len(list(frames)) < 100
    assert states.names[-1] == "stalled"


def test_a_stream_that_is_not_there_is_told_apart(server: RtspServer) -> None:
    source, states = camera(server.url_with("").replace(server.path, "nothing"))
    states.when["not_found"] = source.close
    assert list(source.frames()) == []
    assert states.names == ["connecting", "not_found"]
    assert "check the path" in states.error_of("not_found")


def test_reconnecting_leaks_nothing(aio: RtspServer) -> None:
    me = psutil.Process()

    def attach() -> None:
        source, _ = camera(aio.url, fps=5.0)
        frames = source.frames()
        next(frames)
        source.close()
        assert list(frames) == []

    attach()
    gc.collect()
    before = me.num_threads(), me.num_fds()
    for _ in range(8):
        attach()
    gc.collect()
    assert (me.num_threads(), me.num_fds()) == before


def test_refused_connections_leak_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE_SECONDS", 0.0)
    me = psutil.Process()
    source, states = camera(f"rtsp://u:p@127.0.0.1:{free_port()}/live")
    before = me.num_threads(), me.num_fds()
    tries = 0

    class Impatient:
        def next_seconds(self) -> float:
            nonlocal tries
            tries += 1
            if tries == 200:
                source.close()
            return 0.0

        def reset(self) -> None:
            pass

    source._backoff = Impatient()  # type: ignore[assignment]
    assert list(source.frames()) == []
    assert tries == 200
    assert states.names == ["connecting", "failed"]  # the same trouble is said once
    assert (me.num_threads(), me.num_fds()) == before


def test_a_web_camera_with_a_password() -> None:
    with web_camera(WebCamera(password="p@ss:w/ord")) as serving:
        where = serving.url.removeprefix("http://") + "/mjpeg"
        source, _ = camera(f"http://viewer:p%40ss:w%2Ford@{where}")
        assert follow(list(islice(source.frames(), 5)))
        wrong, states = camera(f"http://viewer:wrong@{where}")
        states.when["unauthorized"] = wrong.close
        assert list(wrong.frames()) == []
        assert states.names == ["connecting", "unauthorized"]


# ---- what only GStreamer's server can do -----------------------------------------------------------


@needs_gst
@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_passwords_of_any_kind_open_and_wrong_ones_are_told_apart(folder: Path, auth: str) -> None:
    password = "p@s:s/w?r#d %25 é"
    encoded = "p%40s%3As%2Fw%3Fr%23d%20%2525%20%C3%A9"
    with gst_server(folder, "--auth", auth, password=password) as server:
        source, _ = camera(server.url_with(f"viewer:{encoded}"))
        assert follow(list(islice(source.frames(), 5)))
        source.close()
        for userinfo in ("viewer:wrong", ""):
            refused, states = camera(server.url_with(userinfo))
            states.when["unauthorized"] = refused.close
            assert list(refused.frames()) == []
            assert states.names == ["connecting", "unauthorized"]
            assert "wrong" not in states.error_of("unauthorized")


@needs_gst
def test_pictures_over_udp(folder: Path) -> None:
    with gst_server(folder, "--transport", "udp") as server:
        source, _ = camera(server.url, transport="udp")
        frames = list(islice(source.frames(), 20))
        assert len(set(numbers(frames))) > 15
        other, states = camera(server.url, transport="tcp")
        states.when["failed"] = other.close
        assert list(other.frames()) == []
        assert "does not offer this transport" in states.error_of("failed")


@needs_gst
def test_b_frames_come_in_order_and_evenly(folder: Path) -> None:
    with gst_server(folder, b_frames=True) as server:
        source, _ = camera(server.url)
        frames = list(islice(source.frames(), 30))
        assert follow(frames)
        times = [frame.pts_us for frame in frames]
        assert times == sorted(times)
        # The first few are placed before it shows that FFmpeg mislabels them.
        assert {later - earlier for earlier, later in pairwise(times[10:])} == {STEP_US}
        assert source.corrupt == 0


@needs_gst
def test_b_frames_under_a_limit(folder: Path) -> None:
    with gst_server(folder, b_frames=True) as server:
        source, _ = camera(server.url, fps=5.0)
        frames = list(islice(source.frames(), 12))
        gaps = [(later - earlier) % CLIP_FRAMES for earlier, later in pairwise(numbers(frames))]
        assert all(3 <= gap <= 7 for gap in gaps[2:])
        assert source.corrupt == 0


@needs_gst
def test_damaged_pictures_are_counted_and_the_rest_goes_on(folder: Path) -> None:
    with gst_server(folder, "--corrupt-every", "7") as server:
        source, states = camera(server.url)
        frames = list(islice(source.frames(), 30))
        assert len(frames) == 30
        assert source.corrupt >= 3
        assert states.names == ["connecting", "live"]


@needs_gst
def test_a_camera_that_falls_silent_is_stalled(folder: Path) -> None:
    with gst_server(folder, "--silent-after", "20") as server:
        source, states = camera(server.url)
        states.when["stalled"] = source.close
        frames = list(source.frames())
        assert 10 <= len(frames) <= 20
        assert states.names == ["connecting", "live", "stalled"]


@needs_gst
def test_the_senders_clock_is_used_once_it_is_told(gst: RtspServer) -> None:
    source, _ = camera(gst.url, fps=5.0)
    for frame in source.frames():
        if source.clock == "sender":
            assert abs(frame.captured_at_us - now_us()) < 5_000_000
            break
        assert frame.pts_us < 30_000_000, "no sender report came"
    source.close()
