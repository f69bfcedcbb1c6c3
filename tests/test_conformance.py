"""One suite for all sources: whatever frames come from, the same is promised of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest

from facestream.address_policy import AddressPolicy
from facestream.camera_url import CameraUrl
from facestream.contract import SourceDrop
from facestream_producer.device import DeviceSource
from facestream_producer.live import LiveSource
from facestream_producer.motion import MotionGate
from facestream_producer.opening import open_source
from facestream_producer.paced import Paced
from facestream_producer.played import PlayedFile
from facestream_producer.source import Skipping, Source, SourceFrame, now_us
from support.certificates import Authority
from support.clips import bgr, make_clip, number_of, numbered
from support.rtmp import RtmpServer, rtmp_missing, sending
from support.rtsp import CLIP_FPS, CLIP_FRAMES, SIZE, aio_server, gst_missing, gst_server
from support.web import WebCamera, hls_files, web_camera

LOOPBACK = AddressPolicy(allow_loopback=True)
CAMERA = Path("/dev/video0")
DEMO = "demo:seconds=2,seed=3"
DEMO_FPS = 30
# Kinds by what they speak; the last three stand in for cameras.
NETWORK = ("rtsp", "rtsp-gst", "rtsp-udp", "rtsps", "rtmp", "mjpeg", "hls")
PLAYED = ("played", "played-folder", "played-demo")
LOSSLESS = ("file", "folder", "demo")
LIVE = (*NETWORK, "device", *PLAYED)
# What can be asked to keep only some of its pictures; a device's driver paces it.
LIMITED = (*NETWORK, *PLAYED)
# Those whose pictures are placed by a clock, and not by times of their own.
BY_ARRIVAL = ("mjpeg", "device")


class World:
    """Servers and files of all kinds, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self._made: dict[str, str] = {}

    def address(self, kind: str) -> str:
        """What a source of this kind is opened by; skips where its server cannot be had."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        return self._made[kind]

    def close(self) -> None:
        self._stack.close()

    def _make(self, kind: str) -> str:
        if kind in ("rtsp-gst", "rtsp-udp", "rtsps"):
            return self._gst(kind)
        if kind == "rtmp":
            return self._rtmp()
        made: dict[str, Callable[[], str]] = {
            "rtsp": lambda: self._stack.enter_context(aio_server(self._folder)).url,
            "mjpeg": lambda: self._stack.enter_context(web_camera(WebCamera())).url + "/mjpeg",
            "hls": self._hls,
            "file": lambda: str(self._clip()),
            "folder": self._pictures,
            "demo": lambda: DEMO,
            "device": _device,
        }
        return made[kind.removeprefix("played-")]() if kind != "played" else self.address("file")

    def _gst(self, kind: str) -> str:
        if missing := gst_missing():
            pytest.skip(missing)
        certificate = None
        if kind == "rtsps":
            certificate = Authority(self._folder / "ca").sign("camera", hosts="IP:127.0.0.1")
        transport = "udp" if kind == "rtsp-udp" else "tcp"
        server = gst_server(self._folder, "--transport", transport, certificate=certificate)
        return self._stack.enter_context(server).url

    def _rtmp(self) -> str:
        if missing := rtmp_missing():
            pytest.skip(missing)
        folder = self._folder / "rtmp"
        folder.mkdir()
        server = self._stack.enter_context(RtmpServer(folder))
        self._stack.enter_context(sending(self._clip(), server))
        return server.url

    def _hls(self) -> str:
        folder = self._folder / "hls"
        folder.mkdir()
        files = hls_files(self._clip(), folder)
        return self._stack.enter_context(web_camera(WebCamera(files=files))).url + "/live.m3u8"

    def _clip(self) -> Path:
        clip = self._folder / "whole.mp4"
        if not clip.exists():
            make_clip(clip, frames=CLIP_FRAMES, size=SIZE, options={"bf": "0"})
        return clip

    def _pictures(self) -> str:
        folder = self._folder / "pictures"
        if not folder.exists():
            folder.mkdir()
            for number in range(CLIP_FRAMES):
                assert cv2.imwrite(str(folder / f"{number}.png"), numbered(number, *SIZE))
        return str(folder)


def _device() -> str:
    if not CAMERA.exists():
        pytest.skip(f"there is no camera {CAMERA}")
    return str(CAMERA)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


Opener = Callable[..., Source]


@pytest.fixture
def opened(kind: str, world: World) -> Iterator[Opener]:
    sources: list[Source] = []

    def make(**options: Any) -> Source:
        sources.append(_open(kind, world.address(kind), **options))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def _open(kind: str, address: str, **options: Any) -> Source:
    if kind in NETWORK:
        url = CameraUrl.parse(address, LOOPBACK)
        transport = "udp" if kind == "rtsp-udp" else "tcp"
        return LiveSource("lobby", url, policy=LOOPBACK, transport=transport, **options)  # type: ignore[arg-type]
    if kind == "played":
        return PlayedFile(Path(address), loop=True, **options)
    if kind in PLAYED:
        given = {"fps": None, "stop": threading.Event()} | options
        return Paced("lobby", open_source(address), loop=True, **given)
    return DeviceSource(address) if kind == "device" else open_source(address)


def numbers(frames: list[SourceFrame]) -> list[int]:
    return [number_of(bgr(frame.picture)) for frame in frames]


def gaps(frames: list[SourceFrame]) -> list[int]:
    return [(later - earlier) % CLIP_FRAMES for earlier, later in pairwise(numbers(frames))]


def fps(kind: str) -> int:
    return DEMO_FPS if "demo" in kind else CLIP_FPS


def steps(kind: str, pictures: int) -> set[int]:
    """How many µs apart pictures may be of which every so many-th is given."""
    apart = 1_000_000 * pictures // fps(kind)
    return {apart, apart + 1} if 1_000_000 % fps(kind) else {apart}


every_kind = pytest.mark.parametrize("kind", [*LIVE, *LOSSLESS])
every_limited_kind = pytest.mark.parametrize("kind", LIMITED)


@every_kind
def test_says_what_it_is(opened: Opener, kind: str) -> None:
    source = opened()
    assert isinstance(source, Source)
    assert source.live == (kind in LIVE)
    expected = "camera" if kind in NETWORK else kind.removeprefix("played-").replace("played", "file")
    assert source.kind == expected
    assert source.clock == ("receipt" if source.live else "file")
    assert (source.length is None) == source.live
    assert source.corrupt == 0
    assert "/" not in source.name
    assert source.fingerprint() == source.fingerprint()
    assert isinstance(source, Skipping) == (kind in LIMITED)


@every_kind
def test_gives_every_picture_once_in_order(opened: Opener, kind: str) -> None:
    source = opened()
    frames = list(islice(source.frames(), 20))

    assert len(frames) == 20
    assert source.corrupt == 0
    if "demo" in kind or kind == "device":
        return  # these have no numbers
    # A machine that is very busy may fall behind; then what is missing is counted. UDP may lose some.
    late = source.skipped[SourceDrop.SOURCE_QUEUE_FULL] if isinstance(source, Skipping) else 0
    assert 0 not in gaps(frames)
    assert kind == "rtsp-udp" or sum(gap - 1 for gap in gaps(frames)) <= late


@every_kind
def test_times_begin_at_zero_and_go_as_the_pictures_do(opened: Opener, kind: str) -> None:
    before = now_us()
    source = opened()
    frames = list(islice(source.frames(), 12))
    times = [frame.pts_us for frame in frames]

    assert times[0] == 0
    assert times == sorted(times)
    if kind not in (*BY_ARRIVAL, "rtsp-udp"):
        assert {later - earlier for earlier, later in pairwise(times)} <= steps(kind, 1)
    assert source.clock in ("receipt", "sender", "file")
    minute = 60_000_000
    assert all(before - minute < frame.captured_at_us < now_us() + minute for frame in frames)


@every_kind
def test_closing_from_another_thread_ends_the_frames_and_may_be_repeated(opened: Opener) -> None:
    source = opened()
    frames = source.frames()
    next(frames)
    closing = threading.Thread(target=source.close)
    closing.start()
    rest = list(frames)
    closing.join()
    source.close()

    assert len(rest) < 100
    assert list(source.frames()) == []


@every_kind
def test_leaving_early_is_no_trouble_and_what_was_given_stays_whole(opened: Opener) -> None:
    frames = opened().frames()
    kept = next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert bgr(kept.picture).size > 0


@every_limited_kind
def test_a_limit_keeps_pictures_evenly_and_counts_the_rest(opened: Opener, kind: str) -> None:
    source = opened(fps=5.0)
    frames = list(islice(source.frames(), 4))
    assert isinstance(source, Skipping)
    left_out = source.skipped[SourceDrop.FPS_LIMIT]

    assert source.fps == 5.0
    assert left_out <= 4 * fps(kind) // 5 + 8  # and what may still be in a decoder
    if kind in (*BY_ARRIVAL, "rtsp-udp"):
        assert all(4 <= gap <= 6 for gap in gaps(frames))
        return
    every = fps(kind) // 5
    assert {later.pts_us - earlier.pts_us for earlier, later in pairwise(frames)} <= steps(kind, every)
    assert left_out >= 3 * (every - 1)
    assert "demo" in kind or set(gaps(frames)) == {every}


@pytest.mark.parametrize("kind", [*NETWORK, "played"])
def test_a_still_picture_is_held_back_by_the_motion_gate(opened: Opener) -> None:
    gate = MotionGate(changed_share=1.0, max_gap_seconds=0.4)
    source = opened(motion=gate)
    frames = list(islice(source.frames(), 3))

    assert isinstance(source, Skipping)
    assert source.skipped[SourceDrop.MOTION_GATE] >= 2 * 8
    assert all(400_000 <= b.pts_us - a.pts_us <= 480_000 for a, b in pairwise(frames))


@every_limited_kind
def test_stopping_ends_the_frames_and_what_was_in_hand_is_counted(opened: Opener) -> None:
    stop = threading.Event()
    source = opened(stop=stop)
    taken = []
    for frame in source.frames():
        taken.append(frame)
        if len(taken) == 5:
            stop.set()

    assert len(taken) == 5
    assert isinstance(source, Skipping)
    assert set(source.skipped) <= {SourceDrop.SHUTDOWN}
