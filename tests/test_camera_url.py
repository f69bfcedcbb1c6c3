"""A camera's address keeps its password, is whole where it is revealed, and reaches only what it may."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
import socketserver
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import av
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from facestream.address_policy import AddressPolicy
from facestream.camera_url import MAX_USERINFO, CameraUrl
from facestream.errors import UsageError

bounded = settings(max_examples=200, deadline=None)

MARK = "ZQX"
ODD = "@/#:%?&;=, é画\U0001f511ab01._-+*[]\\\"'<>"
odd = st.text(alphabet=ODD, max_size=6)
password = st.builds(lambda before, after: before + MARK + after, odd, odd)
user = st.text(alphabet=ODD.replace(":", ""), max_size=6)
schemes = st.sampled_from(["rtsp", "rtsps", "rtmp", "rtmps", "http", "https"])
hosts = st.sampled_from(["10.0.0.7", "cam.example", "[2001:db8::7]", "h_1", "192.168.1.2:8554"])
tails = st.sampled_from(
    ["", "/", "/live", "/a/b.sdp?channel=1&subtype=0", "/?x=1", "/cam/realmonitor?channel=1"]
)

LOCAL_OK = AddressPolicy(allow_loopback=True)


def refused(text: str, policy: AddressPolicy | None = None) -> str:
    """The one line with which an address is refused; never with its password."""
    with pytest.raises(UsageError) as refusal:
        CameraUrl.parse(text, policy or AddressPolicy())
    message = str(refusal.value)
    assert MARK not in message
    assert "\n" not in message
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    return message


def attempted(text: str) -> CameraUrl | str:
    """The address, or the line with which it is refused."""
    try:
        return CameraUrl.parse(text)
    except UsageError as error:
        return str(error)


@dataclass(frozen=True)
class _Holder:
    url: CameraUrl


def assert_nothing_shows(url: CameraUrl) -> None:
    texts = [str(url), repr(url), f"{url}", f"{url!r:>90}", "%s" % url, url.without_credentials]  # noqa: UP031
    texts += [repr(_Holder(url)), repr(asdict(_Holder(url))), repr([url]), repr(url.credentials)]
    texts += [json.dumps({"url": url}, default=str), str(url.credentials), str(KeyError(url))]
    assert [text for text in texts if MARK in text] == []
    for dump in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError) as refusal:
            dump(url)
        assert MARK not in str(refusal.value)


# Nothing shows, and all is revealed


@bounded
@given(schemes, user, password, hosts, tails)
@example("rtsp", "admin", f"{MARK}p@ss/w#rd?:%", "10.0.0.7", "/live")
@example("rtsp", "admin", f"%40{MARK}%2F", "10.0.0.7", "/live")
def test_a_raw_password_is_revealed_whole_and_never_shown(
    scheme: str, user: str, password: str, host: str, tail: str
) -> None:
    """Typed as it is: what looks percent-encoded is taken for that, as every other program does."""
    assume(not user.startswith("***"))
    parsed = attempted(f"{scheme}://{user}:{password}@{host}{tail}")
    if isinstance(parsed, str):
        assert MARK not in parsed
        may_be_a_host = re.match(r"\w[\w.-]*(:[0-9]{0,5})?[/?#]", f"{user}:{password}")
        assert ("two ways" in parsed) == bool(may_be_a_host)
        assert "two ways" in parsed or "FFmpeg sends" in parsed or "%3A" in user or "control" in parsed
        return
    url = parsed
    assert_nothing_shows(url)
    assert str(url) == f"{scheme}://***@{host}{tail}"
    door, _, rest = url.reveal().removeprefix(f"{scheme}://").partition("@")
    assert rest == host + tail
    assert door.isascii()
    assert not set('@/#?[] \\"<>') & set(door)
    assert unquote(door.partition(":")[0]) == unquote(user)
    assert unquote(door.partition(":")[2]) == unquote(password)


@bounded
@given(schemes, user, password, hosts, tails)
def test_an_encoded_password_is_decoded_once(
    scheme: str, user: str, password: str, host: str, tail: str
) -> None:
    encoded = f"{quote(user, safe='')}:{quote(password, safe='')}"
    assume(len(encoded) <= MAX_USERINFO)
    assume(user != "***")
    url = CameraUrl.parse(f"{scheme}://{encoded}@{host}{tail}")
    assert_nothing_shows(url)
    door = url.reveal().removeprefix(f"{scheme}://").partition("@")[0]
    assert unquote(door.partition(":")[2]) == password
    assert unquote(door.partition(":")[0]) == user


@bounded
@given(schemes, user, password, hosts, tails)
def test_what_is_revealed_is_read_again_as_the_same(
    scheme: str, user: str, password: str, host: str, tail: str
) -> None:
    encoded = f"{quote(user, safe='')}:{quote(password, safe='')}"
    assume(len(encoded) <= MAX_USERINFO)
    assume(user != "***")
    url = CameraUrl.parse(f"{scheme}://{encoded}@{host}{tail}")
    again = CameraUrl.parse(url.reveal())
    assert again == url
    assert hash(again) == hash(url)
    assert again.reveal() == url.reveal()
    assert url.credentials is not None
    assert url.credentials.reveal() == url.reveal()


@bounded
@given(
    st.text(alphabet=ODD + "rtsp/:", max_size=30),
    st.sampled_from(["", "rtsp://", "http:", "file:", "rtps://"]),
)
@example("_#", "rtsp://")
def test_no_address_whatever_it_is_ends_in_another_error(text: str, start: str) -> None:
    parsed = attempted(start + text)
    if isinstance(parsed, str):
        assert "\n" not in parsed
    else:
        assert CameraUrl.parse(parsed.reveal()) == parsed


@bounded
@given(
    st.sampled_from(["password", "pwd", "token", "key", "loginpas", "user"]),
    st.text(alphabet="/#:%?=,;é画ab01._-+", max_size=8),
    st.sampled_from(["?", "?channel=2&", "/user=admin_", "/stream?a=1&"]),
)
def test_a_secret_of_the_query_is_not_shown_but_revealed(name: str, before: str, start: str) -> None:
    url = CameraUrl.parse(f"http://10.0.0.7/v{start}{name}={before}{MARK}&stream=1")
    assert_nothing_shows(url)
    assert str(url).endswith("***&stream=1")
    assert MARK in url.reveal()
    assert CameraUrl.parse(url.reveal()) == url


@pytest.mark.parametrize(
    "tail", [f"/v?p%61ssword={MARK}", f"/v?password%3D{MARK}", f"/v?a=1%26token%3D{MARK}"]
)
def test_a_secret_hidden_behind_percent_signs_is_not_shown(tail: str) -> None:
    assert_nothing_shows(CameraUrl.parse(f"http://10.0.0.7{tail}"))


def test_an_address_without_credentials_is_whole() -> None:
    url = CameraUrl.parse("RTSP://Cam.Example:0554/Live Stream/é%2f%41?q=100%")
    assert str(url) == url.reveal() == "rtsp://cam.example:554/Live%20Stream/%C3%A9%2FA?q=100%25"
    assert url.credentials is None
    assert (url.scheme, url.host, url.is_network) == ("rtsp", "cam.example", True)


def test_a_user_without_password_still_logs_in() -> None:
    """FFmpeg does not answer a camera's challenge unless the address has a colon."""
    assert CameraUrl.parse("rtsp://viewer@10.0.0.7/").reveal() == "rtsp://viewer:@10.0.0.7/"
    assert str(CameraUrl.parse("rtsp://viewer@10.0.0.7/")) == "rtsp://***@10.0.0.7/"


def test_copies_are_the_address_itself() -> None:
    url = CameraUrl.parse(f"rtsp://u:{MARK}@10.0.0.7/")
    assert copy.copy(url) is url
    assert copy.deepcopy({"url": url})["url"] is url
    assert url != CameraUrl.parse("rtsp://u:other@10.0.0.7/")
    assert url != url.credentials


# What is refused


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (f"admin:{MARK}@10.0.0.7", "no camera's address"),
        (f"{MARK}", "no camera's address"),
        (f"rstp://u:{MARK}@h/", "did you mean rtsp://?"),
        (f"ftp://u:{MARK}@h/", "ftp:// is nothing"),
        (f"concat:rtsp://u:{MARK}@h/", "no camera's address"),
        (f"subfile,,start,0,end,0,,:http://u:{MARK}@h/", "no camera's address"),
        (f"rtsp:u:{MARK}@h/", "no camera's address"),
        (f"rtsp://u:{MARK}@", "no usable host"),
        (f"rtsp://u:{MARK}@:554/", "no usable host"),
        (f"rtsp://u:{MARK}@bad host/", "no usable host"),
        (f"rtsp://u:{MARK}", "no usable host"),
        (f"rtsp://u:{MARK}@h:99999/", "port 99999"),
        (f"rtsp://u:{MARK}@h:0/", "port 0"),
        (f"rtsp://u:{MARK}@[::zz]/", "no usable host"),
        (f"rtsp://u:{MARK}@[1:2]/", "no name and no number"),
        (f"rtsp://u:{MARK}@a..b/", "no name and no number"),
        (f"rtsp://u:{MARK}@-a/", "no usable host"),
        (f"rtsp://admin:1234/{MARK}@host/x", "two ways"),
        (f"rtsp://token/{MARK}@host/x", "two ways"),
        (f"http://h/?user=a@{MARK}", "two ways"),
        (f"rtsp://u:{MARK}\r\nX: y@h/", "control character"),
        (f"rtsp://u:{MARK}%0d%0aX@h/", "control character"),
        (f"rtsp://u%3Av:{MARK}@h/", "colon"),
        (f"rtsp://u:{MARK}{'é' * 30}@h/", "FFmpeg sends 127"),
        (f"rtsp://u:{MARK}{'x' * 3000}@h/", "longer than"),
        ("rtsp://***@10.0.0.7/live", "stands where the password was"),
        ("http://10.0.0.7/v?user=bob&password=***", "stands where the password was"),
        ("/etc/passwd", "no camera's address"),
        ("/dev/sda", "no camera's address"),
        ("/dev/video0/../../etc/passwd", "no camera's address"),
        ("/dev/v4l/by-id/../../sda", "no camera's address"),
        ("demo:../x", "no camera's address"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(text: str, says: str) -> None:
    assert says in refused(text)


@pytest.mark.parametrize(
    "text", ["/dev/video0", "/dev/v4l/by-id/usb-Cam_1-video-index0", "0", "demo:", "demo:fps=5,seed=2"]
)
def test_devices_and_the_demo_scene_are_taken(text: str) -> None:
    url = CameraUrl.parse(text)
    assert url.reveal() == str(url) == text
    assert url.credentials is None
    assert not url.is_network


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "127.1", "0x7f.1"]
    + ["2130706433", "0x7f000001", "0177.0.0.1", "0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]"]
    + [
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:a9fe:a9fe]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fe80::1]",
        "224.0.0.1",
    ]
    + ["\uff11\uff12\uff17.0.0.1", "ip6-localhost"],
)
def test_this_machine_is_reached_only_when_the_operator_allows_it(host: str) -> None:
    text = f"http://u:{MARK}@{host}:8080/"
    assert "ALLOW_LOOPBACK_CAMERAS" in refused(text)
    assert CameraUrl.parse(text, LOCAL_OK).is_network


def test_a_name_that_leads_to_this_machine_is_found_before_connecting() -> None:
    with pytest.raises(UsageError, match="ALLOW_LOOPBACK"):
        AddressPolicy().check_resolved("127.0.0.1")
    assert AddressPolicy().check_resolved("192.0.2.1") == ["192.0.2.1"]
    assert AddressPolicy().check_resolved("no-such-host.invalid") == []
    assert "127.0.0.1" in LOCAL_OK.check_resolved("localhost")


# Files


def test_a_file_lies_below_a_folder_that_is_named(tmp_path: Path) -> None:
    clips, secrets = tmp_path / "clips", tmp_path / "secrets"
    for folder in (clips, secrets, clips / "a b"):
        folder.mkdir()
    for path in (clips / "a b" / "c%41é.mp4", secrets / "key"):
        path.write_bytes(b"x")
    (clips / "inside").symlink_to(clips / "a b" / "c%41é.mp4")
    (clips / "outside").symlink_to(secrets / "key")
    (clips / "out").symlink_to(secrets)
    (clips / "loop").symlink_to(clips / "loop")
    policy = AddressPolicy((clips,))

    url = CameraUrl.parse(f"file:{clips}/a b/c%41é.mp4", policy)
    assert url.reveal() == f"file:{clips}/a b/c%41é.mp4"
    assert url.path == clips / "a b" / "c%41é.mp4"
    assert CameraUrl.parse(f"file://{clips}/a b/c%41é.mp4", policy) == url
    assert CameraUrl.parse(f"file:{clips}/inside", policy).path == url.path
    for way in (
        "../secrets/key",
        "outside",
        "out/key",
        "a b/../../secrets/key",
        "loop/x/../../../secrets/key",
    ):
        assert "lies outside" in refused(f"file:{clips}/{way}", policy)
    assert "lies outside" in refused("file:/etc/passwd", policy)
    assert "lies outside" in refused(f"file:{clips}x/a.mp4", policy)
    assert "no whole path" in refused("file:clips/a.mp4", policy)
    assert "no whole path" in refused("file://host", policy)
    assert "FACESTREAM_SOURCE_FOLDERS" in refused(f"file:{clips}/inside")


def test_the_folders_may_be_links_themselves(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    policy = AddressPolicy((tmp_path / "link",))
    assert CameraUrl.parse(f"file:{tmp_path}/link/a.mp4", policy).path == tmp_path / "real/a.mp4"


# FFmpeg


class _Door(socketserver.StreamRequestHandler):
    """A camera that lets nobody in, and remembers what it was told: HTTP and RTSP alike."""

    def handle(self) -> None:
        while lines := self._lines():
            told = [line for line in lines if line.lower().startswith("authorization: basic ")]
            self.server.told += told  # type: ignore[attr-defined]
            protocol = "RTSP/1.0" if "RTSP" in lines[0] else "HTTP/1.1"
            sequence = "".join(f"{line}\r\n" for line in lines if line.lower().startswith("cseq"))
            said = f'{protocol} 401 Unauthorized\r\n{sequence}WWW-Authenticate: Basic realm="x"\r\n'
            self.wfile.write(f"{said}Content-Length: 0\r\n\r\n".encode())

    def _lines(self) -> list[str]:
        lines: list[str] = []
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            lines.append(line)
        return lines


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(
    "password", ["plain", "p@ss/w#rd?:%", "100%25", "é画 \U0001f511", "a+b&c=d;e", "", "%41", "[]\\\"'"]
)
def test_ffmpeg_logs_in_with_what_was_meant(scheme: str, password: str) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Door) as server:
        server.daemon_threads = True
        server.told = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{server.server_address[1]}/live"
        url = CameraUrl.parse(f"{scheme}://us%40er:{quote(password, safe='')}@{where}", LOCAL_OK)
        with pytest.raises(av.HTTPUnauthorizedError):
            av.open(url.reveal(), timeout=5, options={"rtsp_transport": "tcp"})
        server.shutdown()
        told = {base64.b64decode(line.split()[2]).decode() for line in server.told}  # type: ignore[attr-defined]
    assert told == {f"us@er:{password}"}
