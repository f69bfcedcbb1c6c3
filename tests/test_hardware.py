"""Decoding by a device where there is one; where there is none, one line and the processor."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

import av
import pytest
from av.codec.hwaccel import HWAccel, hwdevices_available

from facestream.address_policy import AddressPolicy
from facestream.bus.camera_entry import Camera
from facestream.camera_url import CameraUrl
from facestream.cameras import DECODERS, CameraSettings
from facestream.settings import Settings
from facestream_producer import checks, hardware
from facestream_producer.attaching import open_camera
from facestream_producer.connecting import connect
from support.clips import bgr, make_clip, number_of
from support.rtsp import aio_server

LOOPBACK = AddressPolicy(allow_loopback=True)


def test_what_this_ffmpeg_offers_is_listed_and_tried() -> None:
    offered = hardware.offered()
    assert set(offered) <= set(hwdevices_available())
    assert set(offered) <= set(DECODERS)
    for kind, trouble in offered.items():
        assert trouble is None or trouble == trouble.strip().lower() != ""
        assert (trouble is None) == (hardware.choose(kind).device is not None)


def test_the_processor_needs_no_reason() -> None:
    assert hardware.choose("software") == (None, None)


@pytest.mark.parametrize("wanted", DECODERS[1:])
def test_what_is_not_here_is_said_in_one_line(wanted: str) -> None:
    here = [kind for kind, trouble in hardware.offered().items() if trouble is None]
    device, note = hardware.choose(wanted)
    if wanted in here or (wanted == "auto" and here):
        assert device is not None
        assert note is None
        return
    assert device is None
    assert note is not None
    assert note.startswith(f"decode={wanted}: ")
    assert note.endswith("; the processor decodes")
    assert "\n" not in note


def test_a_camera_whose_device_is_not_here_is_live_by_the_processor(tmp_path: Path) -> None:
    wanted = next((kind for kind in DECODERS[2:] if hardware.choose(kind).device is None), None)
    if wanted is None:
        pytest.skip("every kind of device is here")
    said: list[str] = []
    with aio_server(tmp_path) as server:
        url = CameraUrl.parse(server.url, LOOPBACK)
        camera = Camera("lobby", str(url), CameraSettings(decode=wanted))
        source = open_camera(camera, url, LOOPBACK, lambda state, error: None, threading.Event(), said.append)
        frames = list(islice(source.frames(), 5))
        source.close()
    assert len(frames) == 5
    assert said == [f"lobby: {hardware.choose(wanted).note}"]


def test_a_device_that_fails_when_it_is_needed_leaves_the_processor(tmp_path: Path) -> None:
    """As one that is busy or gone does: this FFmpeg knows it, and it cannot be opened."""
    failing = [kind for kind, trouble in hardware.offered().items() if trouble is not None]
    if not failing:
        pytest.skip("no kind of device is offered that is not here")
    with aio_server(tmp_path) as server:
        url = CameraUrl.parse(server.url, LOOPBACK)
        with pytest.raises(av.FFmpegError):
            av.open(server.url, hwaccel=HWAccel(failing[0]))
        with closing(connect(url, policy=LOOPBACK, device=HWAccel(failing[0]))) as camera:
            assert not camera.stream.codec_context.is_hwaccel
            assert next(camera.container.decode(camera.stream)).width == 320


def test_a_device_that_is_here_gives_the_same_pictures(tmp_path: Path) -> None:
    here = [kind for kind, trouble in hardware.offered().items() if trouble is None]
    if not here:
        pytest.skip("no device here decodes video")
    clip = make_clip(tmp_path / "c.mp4", frames=25, size=(320, 240))
    with av.open(str(clip), hwaccel=HWAccel(here[0])) as container:
        assert container.streams.video[0].codec_context.is_hwaccel
        assert [number_of(bgr(frame)) for frame in container.decode(video=0)] == list(range(25))


def test_doctor_says_what_decodes() -> None:
    [said] = [check for check in checks.checks(Settings()) if check.name == "video decoders"]
    assert said.text.startswith("the processor")
    assert all(kind in said.text for kind in hardware.offered())
