"""A camera's address reaches the camera and nothing else: no output, no file, no long wait."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facestream.address_policy import AddressPolicy
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream.errors import SourceError, SourceUnreadable
from facestream_producer.camera_errors import CameraNotFound, CameraUnauthorized, CameraUnreachable
from facestream_producer.connecting import connect
from facestream_producer.live import LiveSource
from support.clips import make_clip, make_sound
from support.ports import free_port
from support.web import WebCamera, hls_files, web_camera

LOOPBACK = AddressPolicy(allow_loopback=True)
SCHEMES = ("rtsp", "http", "rtmp")


def url(text: str) -> CameraUrl:
    return CameraUrl.parse(text, LOOPBACK)


def refusal(address: CameraUrl, open_seconds: float = 1.0) -> SourceError:
    """The error with which a camera is not opened."""
    with pytest.raises(SourceError) as refused:
        connect(address, open_seconds=open_seconds, read_seconds=1.0).close()
    assert "\n" not in str(refused.value)
    return refused.value


@contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """A port where somebody listens who gives this answer to everything, or none at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    kept.append(peer)
                    if answer is not None:
                        peer.recv(4096)
                        peer.sendall(answer)
                        peer.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for peer in kept:
            peer.close()


# ---- errors that say what is wrong -----------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_listens(scheme: str) -> None:
    error = refusal(url(f"{scheme}://127.0.0.1:{free_port()}/live"))
    assert isinstance(error, CameraUnreachable)
    assert "nobody listens" in str(error) or "cannot be reached" in str(error)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_somebody_listens_and_says_nothing(scheme: str) -> None:
    with listener(None) as port:
        error = refusal(url(f"{scheme}://127.0.0.1:{port}/live"), open_seconds=0.3)
    assert isinstance(error, CameraUnreachable)
    assert "in time" in str(error)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 Unauthorized", CameraUnauthorized),
        ("403 Forbidden", CameraUnauthorized),
        ("404 Not Found", CameraNotFound),
        ("500 Oops", SourceError),
        ("503 Busy", SourceError),
    ],
)
def test_what_the_camera_says_is_told_apart(scheme: str, status: str, kind: type[SourceError]) -> None:
    head = (
        f"{'RTSP/1.0' if scheme == 'rtsp' else 'HTTP/1.1'} {status}\r\nCSeq: 1\r\nContent-Length: 0\r\n\r\n"
    )
    with listener(head.encode()) as port:
        error = refusal(url(f"{scheme}://viewer:secret@127.0.0.1:{port}/live"))
    assert isinstance(error, kind)
    assert not isinstance(error, CameraUnreachable) or kind is SourceError
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 2000, b"RTSP/1.0 200 OK\r\n\r\n"]
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_somebody_else_listens(scheme: str, answer: bytes) -> None:
    with listener(answer) as port:
        refusal(url(f"{scheme}://127.0.0.1:{port}/live"), open_seconds=0.5)


def test_sound_alone_is_no_camera(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "sound.ts")
    with web_camera(WebCamera(files={"/sound.ts": sound.read_bytes()})) as serving:
        error = refusal(url(f"{serving.url}/sound.ts"))
    assert isinstance(error, SourceUnreadable)
    assert "no video stream" in str(error) or "not read from a camera" in str(error)


# ---- secrets ---------------------------------------------------------------------------------------

ODD = st.text(
    st.one_of(
        st.sampled_from("@:/?#%&= \\'\"[]{}<>|^`~!$*()+,;é漢"),
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]),
    ),
    min_size=1,
    max_size=5,  # two of four bytes each, percent-encoded, are as long as FFmpeg takes
)


def said_of(address: str) -> str:
    """All that is to be read of one failed attempt at this camera."""
    camera = url(address)
    error = refusal(camera, open_seconds=0.5)
    said = [str(error), repr(error), *map(str, error.args), "".join(traceback.format_exception(error))]
    assert error.__cause__ is None
    assert error.__context__ is None
    states: list[CameraState] = []
    source = LiveSource("lobby", camera, on_state=states.append)

    def close_on_error(state: CameraState) -> None:
        states.append(state)
        if state.error:
            source.close()

    source._on_state = close_on_error
    assert list(source.frames()) == []
    said += [repr(source), repr(camera), str(camera), *(state.pack() for state in states)]
    said += [repr(state).replace(str(state.since_us), "") for state in states]
    return "\n".join(line for line in said if "since_us" not in line)


@pytest.fixture(scope="module")
def closed_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with web_camera(WebCamera(password="another")) as serving:
        yield serving.url.removeprefix("http://")


@given(user=ODD.filter(lambda text: ":" not in text), password=ODD)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_password_is_ever_said(
    user: str,
    password: str,
    closed_port: int,
    guarded: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever the password, the same is said: so nothing of it can be in there."""
    caplog.set_level(logging.DEBUG)
    places = (f"rtsp://%s@127.0.0.1:{closed_port}/live", f"http://%s@{guarded}/mjpeg")
    for place in (*places, f"http://%s@{guarded}/live.m3u8"):
        said = [
            "\n".join(line for line in said_of(place % userinfo).splitlines() if " at 0x" not in line)
            for userinfo in (f"{quote(user, safe='')}:{quote(password, safe='')}", "viewer:other")
        ]
        assert said[0] == said[1]
        assert "127.0.0.1" in said[0]
    assert caplog.text == ""
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


# ---- no other place --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("hls")
    clip = make_clip(tmp_path_factory.mktemp("clip") / "c.mp4", frames=50)
    return hls_files(clip, folder)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory, segments: dict[str, bytes]) -> Path:
    """A file of this machine that is a perfectly good video."""
    path = tmp_path_factory.mktemp("private") / "secret.ts"
    path.write_bytes(segments["/s0.ts"])
    return path


PLACES = (
    "file://{path}",
    "file:{path}",
    "{path}",
    "concat:{path}|{path}",
    "subfile,,start,0,end,0,,:{path}",
    "crypto:{path}",
    "crypto+file:{path}",
    "cache:{path}",
    "async:file:{path}",
    "pipe:0",
    "data:;base64,R0lG",
    "rtsp://127.0.0.1:9/x",
    "udp://127.0.0.1:{port}",
    "gopher://127.0.0.1:{port}/_x.ts",
)
PLAYLISTS = {
    "segment": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
    "key": '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:2,\n/s0.ts\n'
    "#EXT-X-ENDLIST\n",
    "map": '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="{target}"\n#EXTINF:2,\n/none.ts\n'
    "#EXT-X-ENDLIST\n",
    "variant": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
}


@pytest.mark.parametrize("playlist", PLAYLISTS)
@pytest.mark.parametrize("place", PLACES)
def test_what_a_camera_sends_opens_no_file_and_no_other_protocol(
    place: str, playlist: str, secret: Path, segments: dict[str, bytes]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bystander:
        bystander.setblocking(False)
        target = place.format(path=secret, port=bystander.getsockname()[1])
        body = PLAYLISTS[playlist].format(target=target).encode()
        with web_camera(WebCamera(files=segments | {"/live.m3u8": body})) as serving:
            refusal(url(f"{serving.url}/live.m3u8"))
            assert serving.asked[0] == "/live.m3u8"
        with pytest.raises(BlockingIOError):
            bystander.accept()


def test_the_secret_could_be_read_by_a_careless_reader(secret: Path) -> None:
    """Else the test above would prove nothing."""
    with av.open(str(secret)) as container:
        assert next(container.decode(video=0)).width == 160


def test_redirections_are_not_followed(secret: Path, segments: dict[str, bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bystander:
        bystander.setblocking(False)
        elsewhere = {
            "/there": f"http://127.0.0.1:{bystander.getsockname()[1]}/",
            "/file": f"file://{secret}",
            "/here": "/live.m3u8",
        }
        with web_camera(WebCamera(files=segments, redirects=elsewhere)) as serving:
            for path in elsewhere:
                assert "redirects" in str(refusal(url(serving.url + path)))
            assert serving.asked == list(elsewhere)
        with pytest.raises(BlockingIOError):
            bystander.accept()


def test_a_playlist_of_the_cameras_own_is_read(segments: dict[str, bytes]) -> None:
    with (
        web_camera(WebCamera(files=segments)) as serving,
        closing(connect(url(f"{serving.url}/live.m3u8"))) as camera,
    ):
        assert next(camera.container.decode(camera.stream)).width == 160


@pytest.mark.parametrize("text", ["file:/etc/hostname", "demo:", "/dev/video0"])
def test_what_is_no_network_camera_is_refused(text: str) -> None:
    policy = AddressPolicy(folders=(Path("/etc"),))
    with pytest.raises(SourceUnreadable, match="no scheme of a camera on the network"):
        connect(CameraUrl.parse(text, policy))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_host_that_leads_to_this_machine_is_refused_before_anything_is_sent(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bystander:
        bystander.setblocking(False)
        address = url(f"rtsp://viewer:secret@{host}:{bystander.getsockname()[1]}/live")
        with pytest.raises(SourceUnreadable) as refused:
            connect(address, policy=AddressPolicy())
        assert "secret" not in str(refused.value)
        with pytest.raises(BlockingIOError):
            bystander.accept()
