"""Cameras that send what no camera should: nothing ends but their own stream, and memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.clips import make_clip
from support.hostile import MJPEG_HEAD, enormous_h264, enormous_jpeg, jpeg, part, sender, slow
from support.web import WebCamera, web_camera

H264_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/h264\r\n\r\n"
# In a process of its own: what it took at most, and that it lives to say so, is what is to be seen.
PROGRAM = """
import json, resource, sys
from facestream.address_policy import AddressPolicy
from facestream.camera_url import CameraUrl
from facestream_producer.encoder import Encoder
from facestream_producer.live import LiveSource
from facestream_producer.motion import MotionGate

address, limit, until = sys.argv[1], int(sys.argv[2]), sys.argv[3]
policy = AddressPolicy(allow_loopback=True)
states, sizes = [], []

def on_state(state):
    states.append([state.state, state.error])
    if state.state == until:
        source.close()

source = LiveSource("lobby", CameraUrl.parse(address, policy), policy=policy, stall_seconds=1.0,
                    open_seconds=1.0, motion=MotionGate(changed_share=-1.0), on_state=on_state)
encoder = Encoder(max_side=640)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
for frame in source.frames():
    encoded = encoder.encode(frame.picture)
    sizes.append([encoded.source_width, encoded.source_height])
    if len(sizes) == limit:
        source.close()
print(json.dumps({"states": states, "sizes": sizes, "corrupt": source.corrupt, "mb": peak() - before}))
"""


def attach(address: str, frames: int = 1000, until: str = "") -> dict[str, Any]:
    """What came of a camera until so many frames, or a state."""
    command = [sys.executable, "-I", "-c", PROGRAM, address, str(frames), until]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    seen: dict[str, Any] = json.loads(done.stdout)
    assert all("\n" not in (error or "") for _, error in seen["states"])
    return seen


def test_a_jpeg_that_claims_to_be_enormous_is_counted_and_the_others_go_on() -> None:
    good = part(jpeg(320, 240)) * 3
    with sender(MJPEG_HEAD + good + part(enormous_jpeg()) + good, good, 100) as port:
        seen = attach(f"http://127.0.0.1:{port}/mjpeg", frames=30)
    assert seen["sizes"] == [[320, 240]] * 30
    assert seen["corrupt"] == 1
    assert [state for state, _ in seen["states"]] == ["connecting", "live"]
    assert seen["mb"] < 200


def test_a_camera_of_nothing_but_enormous_jpegs_is_never_live() -> None:
    with sender(MJPEG_HEAD, part(enormous_jpeg()), 2000) as port:
        seen = attach(f"http://127.0.0.1:{port}/mjpeg", until="stalled")
    assert seen["sizes"] == []
    assert [state for state, _ in seen["states"]] == ["connecting", "stalled"]
    assert seen["corrupt"] >= 1900
    assert seen["mb"] < 200


def test_a_camera_that_says_at_once_that_its_pictures_are_enormous_is_refused() -> None:
    with sender(H264_HEAD, enormous_h264(), 2000) as port:
        seen = attach(f"http://127.0.0.1:{port}/live.h264", until="failed")
    assert "says its pictures are 16000x16000: the limit is" in seen["states"][-1][1]
    assert seen["mb"] < 200


def test_enormous_parameter_sets_amid_a_stream_of_h264(tmp_path: Path) -> None:
    good = make_clip(tmp_path / "c.h264", frames=24, size=(320, 240), options={"bf": "0"}).read_bytes()
    with sender(H264_HEAD + good * 2 + enormous_h264() + good, good, 20) as port:
        seen = attach(f"http://127.0.0.1:{port}/live.h264", frames=100)
    assert seen["sizes"] == [[320, 240]] * 100
    assert seen["mb"] < 200


@pytest.mark.parametrize("kind", ["mjpeg", "ts"])
def test_pictures_of_another_size_in_mid_stream_are_taken_as_they_come(tmp_path: Path, kind: str) -> None:
    sizes = [(160, 120), (320, 240), (96, 64)]
    if kind == "mjpeg":
        body = b"".join(part(jpeg(*size)) * 20 for size in sizes)
        with sender(MJPEG_HEAD + body, part(jpeg(*sizes[0])), 100) as port:
            seen = attach(f"http://127.0.0.1:{port}/mjpeg", frames=60)
    else:
        clips = [make_clip(tmp_path / f"{size[0]}.ts", frames=20, size=size) for size in sizes]
        whole = b"".join(clip.read_bytes() for clip in clips)
        with web_camera(WebCamera(files={"/live.ts": whole})) as serving:
            seen = attach(f"{serving.url}/live.ts", frames=60)
    assert seen["sizes"] == [[*size] for size in sizes for _ in range(20)]
    assert seen["corrupt"] == 0


ENDLESS_PICTURE = b"--picture\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(64, 64)[:-2]


@pytest.mark.parametrize(
    ("scheme", "first", "then"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n" * 5000),
        ("http", b"HTTP/1.1 200 OK\r\n", b"Set-Cookie: a=" + b"b" * 500 + b"\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
        ("rtsp", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n", b"X-Header: 1\r\n" * 5000),
        ("rtsp", b"RTSP/1.0 200 OK\r\nX: ", b"y" * 65536),
        ("hls", b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n" * 5000),
        ("hls", b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
    ],
    ids=["headers", "cookies", "header", "rtsp-headers", "rtsp-header", "hls-headers", "hls-header"],
)
def test_headers_without_an_end_are_given_up(scheme: str, first: bytes, then: bytes) -> None:
    path = "live.m3u8" if scheme == "hls" else "live"
    with sender(first, then, times=None) as port:
        seen = attach(f"{scheme.replace('hls', 'http')}://127.0.0.1:{port}/{path}", until="failed")
    assert [state for state, _ in seen["states"]] == ["connecting", "failed"]
    assert seen["mb"] < 400


def test_a_picture_without_an_end_is_given_up() -> None:
    with sender(MJPEG_HEAD + part(jpeg(64, 64)) * 5 + ENDLESS_PICTURE, bytes(1 << 16), 20_000) as port:
        seen = attach(f"http://127.0.0.1:{port}/mjpeg", until="stalled")
    assert [state for state, _ in seen["states"]] == ["connecting", "live", "stalled"]


def test_an_answer_that_comes_byte_by_byte_is_given_up() -> None:
    with slow(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n#EXTM3U\n" + b"#" * 1000) as port:
        seen = attach(f"http://127.0.0.1:{port}/live.m3u8", until="failed")
    assert "in time" in seen["states"][-1][1]
