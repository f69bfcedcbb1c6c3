"""`facestream probe` says what a camera sends, and of a camera it cannot see why; never a password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facestream.address_policy import AddressPolicy
from facestream.camera_url import CameraUrl
from facestream_producer.probe import Probe, probe
from support.clips import make_clip
from support.ports import free_port
from support.rtsp import B_FRAMES, CLIP_FPS, SIZE, RtspServer, aio_server, gst_missing, gst_server
from support.web import WebCamera, hls_files, web_camera

LOOPBACK = AddressPolicy(allow_loopback=True)
PROGRAM = """
import sys, typer
from facestream.commands.app import run
from facestream_producer.probe_command import register
app = typer.Typer()
app.callback()(lambda: None)
register(app)
sys.exit(run(app, sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probed")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RtspServer]:
    with aio_server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[WebCamera]:
    (folder / "hls").mkdir()
    clip = make_clip(folder / "whole.mp4", frames=100, size=SIZE, options=B_FRAMES)
    with web_camera(WebCamera(files=hls_files(clip, folder / "hls"))) as serving:
        yield serving


def look(text: str, seconds: float = 1.5) -> Probe:
    return probe(CameraUrl.parse(text, LOOPBACK), seconds=seconds)


def command(*arguments: str, given: str = "", env: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "probe", *arguments],
        input=given,
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_rtsp_camera_is_described(server: RtspServer) -> None:
    found = look(server.url)
    assert (found.codec, found.width, found.height) == ("h264", *SIZE)
    assert found.transport == "rtsp over tcp"
    assert found.fps == pytest.approx(CLIP_FPS, abs=0.5)
    assert found.keyframe_seconds == pytest.approx(6 / CLIP_FPS, abs=0.05)
    assert found.bitrate_kbit is not None
    assert found.bitrate_kbit > 1
    assert found.jitter_ms is not None
    assert found.clock == "sender"
    assert not found.b_frames
    assert found.corrupt == 0
    assert found.suggested == {"fps": 5.0, "max_side": 320}


def test_a_web_camera_is_described(web: WebCamera) -> None:
    found = look(f"{web.url}/mjpeg")
    assert (found.codec, found.format, found.width) == ("mjpeg", "mpjpeg", 320)
    assert found.fps == pytest.approx(CLIP_FPS, rel=0.2)
    assert found.clock == "receipt"


def test_a_playlist_is_described(web: WebCamera) -> None:
    found = look(f"{web.url}/live.m3u8")
    assert (found.codec, found.b_frames) == ("h264", True)
    assert found.fps == pytest.approx(CLIP_FPS, abs=0.5)


def test_a_camera_behind_a_password_is_described_without_it(folder: Path) -> None:
    if missing := gst_missing():
        pytest.skip(missing)
    with gst_server(folder, "--auth", "digest", password="s3cr@t") as guarded:
        address = guarded.url_with("viewer:s3cr@t")
        status, out, err = command("--url-file", "-", "--seconds", "1", "--json", given=address)
        assert (status, err) == (0, "")
        assert json.loads(out)["address"] == f"rtsp://***@127.0.0.1:{guarded.port}/live"
        assert "s3cr" not in out
        status, out, err = command("--url-env", "CAM", env={"CAM": guarded.url_with("viewer:wr0ng")})
        assert (status, out) == (1, "")
        assert "asks for user and password" in err
        assert "wr0ng" not in err


def test_the_command_prints_json_into_a_pipe(server: RtspServer) -> None:
    status, out, err = command(server.url, "--seconds", "1")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["codec"] == "h264"
    assert set(found) == set(Probe.__slots__)


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("rtsp://u:s3cret@127.0.0.1:{port}/live", 1, "nobody listens"),
        ("rtsp://u:s3cret@no-such-host.invalid/live", 1, "cannot be reached"),
        ("rstp://u:s3cret@127.0.0.1/live", 2, "did you mean rtsp"),
        ("u:s3cret", 2, "no camera's address"),
        ("demo:", 2, "cameras on a network"),
    ],
)
def test_what_cannot_be_seen_is_one_line(address: str, status: int, says: str) -> None:
    got, out, err = command("--url-file", "-", given=address.format(port=free_port()))
    assert (got, out) == (status, "")
    assert err.startswith("facestream: ")
    assert err.count("\n") == 1
    assert says in err
    assert "s3cret" not in err


def test_a_stream_that_is_not_there(server: RtspServer) -> None:
    got, _, err = command(f"rtsp://127.0.0.1:{server.port}/nothing.mp4")
    assert got == 1
    assert "check the path" in err
