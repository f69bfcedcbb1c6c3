"""Cameras over TLS: any certificate is taken, unless an authority was named; then no other is talked to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from facestream.address_policy import AddressPolicy
from facestream.camera_url import CameraUrl
from facestream_producer.camera_errors import CameraUnauthorized, CameraUnreachable
from facestream_producer.connecting import connect
from support.certificates import Authority, Certificate
from support.clips import make_clip
from support.rtmp import RtmpServer, rtmp_missing, sending
from support.rtsp import gst_missing, gst_server
from support.tls_front import tls_front
from support.web import WebCamera, hls_files, web_camera

LOOPBACK = AddressPolicy(allow_loopback=True)
KINDS = ("rtsps", "rtmps", "https-mjpeg", "https-hls")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "another authority")


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("hls")
    return hls_files(make_clip(folder / "c.mp4", frames=25), folder)


class Cameras:
    """One of a kind, with the certificate that is asked for."""

    def __init__(self, folder: Path, segments: dict[str, bytes], stack: ExitStack) -> None:
        self._folder, self._segments, self._stack = folder, segments, stack

    def address(self, kind: str, certificate: Certificate) -> str:
        if kind == "rtsps":
            if missing := gst_missing():
                pytest.skip(missing)
            return self._stack.enter_context(gst_server(self._folder, certificate=certificate)).url
        if kind == "rtmps":
            return self._rtmps(certificate)
        camera = WebCamera(files=self._segments)
        serving = self._stack.enter_context(web_camera(camera, certificate=certificate))
        return serving.url + ("/mjpeg" if kind == "https-mjpeg" else "/live.m3u8")

    def _rtmps(self, certificate: Certificate) -> str:
        if missing := rtmp_missing():
            pytest.skip(missing)
        server = self._stack.enter_context(RtmpServer(self._folder))
        clip = make_clip(self._folder / "c.mp4", frames=25, options={"bf": "0"})
        self._stack.enter_context(sending(clip, server))
        port = self._stack.enter_context(tls_front(server.port, certificate))
        return f"rtmps://127.0.0.1:{port}/{server.path}"


@pytest.fixture
def cameras(tmp_path: Path, segments: dict[str, bytes]) -> Iterator[Cameras]:
    with ExitStack() as stack:
        yield Cameras(tmp_path, segments, stack)


def width_of_a_picture(address: str, policy: AddressPolicy) -> int:
    url = CameraUrl.parse(address, LOOPBACK)
    with closing(connect(url, policy=policy, open_seconds=10.0)) as camera:
        return next(camera.container.decode(camera.stream)).width


def trusting(authority: Authority) -> AddressPolicy:
    return AddressPolicy(allow_loopback=True, camera_ca=authority.path)


@pytest.mark.parametrize("kind", KINDS)
def test_whom_an_authority_certified_is_talked_to_and_nobody_else(
    kind: str, authority: Authority, stranger: Authority, cameras: Cameras
) -> None:
    address = cameras.address(kind, authority.sign("camera", hosts="IP:127.0.0.1"))
    assert width_of_a_picture(address, LOOPBACK) > 0
    assert width_of_a_picture(address, trusting(authority)) > 0
    with pytest.raises(CameraUnreachable, match="certificate"):
        width_of_a_picture(address, trusting(stranger))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", ["host", "expired"])
def test_a_certificate_for_another_host_or_of_another_time(
    kind: str, wrong: str, authority: Authority, cameras: Cameras
) -> None:
    hosts = "DNS:elsewhere.example" if wrong == "host" else "IP:127.0.0.1"
    address = cameras.address(kind, authority.sign(wrong, hosts=hosts, expired=wrong == "expired"))
    assert width_of_a_picture(address, LOOPBACK) > 0
    with pytest.raises(CameraUnreachable, match="certificate"):
        width_of_a_picture(address, trusting(authority))


def test_a_password_over_rtsps(tmp_path: Path, authority: Authority) -> None:
    if missing := gst_missing():
        pytest.skip(missing)
    certificate = authority.sign("guarded", hosts="IP:127.0.0.1")
    with gst_server(tmp_path, "--auth", "digest", password="s3cr@t", certificate=certificate) as server:
        address = server.url_with("viewer:s3cr%40t")
        assert width_of_a_picture(address, trusting(authority)) > 0
        with pytest.raises(CameraUnauthorized):
            width_of_a_picture(server.url_with("viewer:wrong"), trusting(authority))
