"""HLS: what a playlist names is fetched by us, where the policy allows it, and never without bounds."""

from __future__ import annotations

import gc
import io
import re
import socket
from contextlib import ExitStack, closing
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest

from facestream.address_policy import AddressPolicy
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream.errors import SourceError, SourceUnreadable
from facestream_producer.camera_errors import CameraNotFound, CameraStalled, CameraUnauthorized
from facestream_producer.connecting import connect
from facestream_producer.live import LiveSource
from facestream_producer.playlist_times import segment_times
from facestream_producer.source import now_us
from support.clips import bgr, make_clip, number_of
from support.ports import free_port
from support.web import LivePlaylist, WebCamera, hls_files, web_camera

LOOPBACK = AddressPolicy(allow_loopback=True)
FRAMES = 120
HEAD, END = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n", "#EXT-X-ENDLIST\n"
PLAYLISTS = {
    "segment": f"{HEAD}#EXTINF:2,\n{{target}}\n{END}",
    "key": f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="{{target}}"\n#EXTINF:2,\n/s0.ts\n{END}',
    "map": f'{HEAD}#EXT-X-MAP:URI="{{target}}"\n#EXTINF:2,\n/none.ts\n{END}',
    "variant": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
}


def url(text: str) -> CameraUrl:
    return CameraUrl.parse(text, LOOPBACK)


def refusal(address: CameraUrl, open_seconds: float = 1.0) -> SourceError:
    """The error with which a camera is not opened."""
    with pytest.raises(SourceError) as refused:
        connect(address, open_seconds=open_seconds, read_seconds=1.0).close()
    assert "\n" not in str(refused.value)
    return refused.value


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A playlist `/live.m3u8` of short segments."""
    folder = tmp_path_factory.mktemp("hls")
    return hls_files(make_clip(folder / "c.mp4", frames=FRAMES), folder, seconds=0.2)


# ---- what is refused -------------------------------------------------------------------------------


class _ThisHost(AddressPolicy):
    """Allows one of this machine's addresses, as if it were a camera's, and no loopback."""

    def check_resolved(self, host: str) -> list[str]:
        return [host] if host == "127.0.0.1" else super().check_resolved(host)


@pytest.mark.parametrize("playlist", ["segment", "key", "map", "variant"])
def test_a_playlist_that_names_a_refused_address_is_refused(
    playlist: str, segments: dict[str, bytes]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bystander:
        bystander.setblocking(False)
        target = f"http://localhost:{bystander.getsockname()[1]}/s0.ts"
        body = PLAYLISTS[playlist].format(target=target).encode()
        with web_camera(WebCamera(files=segments | {"/live.m3u8": body})) as serving:
            address = url(serving.url.replace("://", "://viewer:secret@") + "/live.m3u8")
            with pytest.raises(SourceUnreadable, match="may not be reached: localhost is this") as refused:
                connect(address, policy=_ThisHost())
            assert "secret" not in str(refused.value)
            connect(url(f"{serving.url}/s0.ts"), policy=_ThisHost()).close()
        with pytest.raises(BlockingIOError):
            bystander.accept()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"#EXTM3U\n" + b"#" * (2 << 20), "a playlist is larger than 1 MiB"),
        (b"#EXTM3U\n" + b"#EXTINF:2,\n\n" * 10_001, "more than 20000 lines"),
        (b"#EXTM3U\n" + b"#EXTINF:2,\nnone.ts\n" * 99 + b"#EXT-X-ENDLIST", "HTTP status 404"),
        (
            b"#EXTM3U\n" + b"".join(b"#EXT-X-STREAM-INF:BANDWIDTH=1\n/%d.m3u8\n" % n for n in range(99)),
            "check the path",
        ),
        (
            b"#EXTM3U\n" + b"".join(b"#EXT-X-STREAM-INF:BANDWIDTH=1\n/one.m3u8?%d\n" % n for n in range(99)),
            "more than 16 playlists",
        ),
        (
            b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="/key"\n#EXTINF:2,\n/s0.ts\n#EXT-X-ENDLIST',
            "encrypted",
        ),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n/away.ts\n#EXT-X-ENDLIST", "not followed"),
        (b"no playlist", "nothing that is a video stream"),
    ],
    ids=["bytes", "lines", "segments", "variants", "same", "encrypted", "redirect", "text"],
)
def test_what_a_playlist_may_not_be(body: bytes, says: str, segments: dict[str, bytes]) -> None:
    one = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n/s0.ts\n#EXT-X-ENDLIST\n"
    files = segments | {"/live.m3u8": body, "/key": bytes(16)}
    files |= {f"/one.m3u8?{number}": one for number in range(99)}
    camera = WebCamera(files=files, redirects={"/away.ts": "/s0.ts"})
    with web_camera(camera) as serving:
        assert says in str(refusal(url(f"{serving.url}/live.m3u8"), open_seconds=20.0))
    assert len(camera.asked) < 40


def test_an_address_that_is_no_text_is_said_as_everything_else(segments: dict[str, bytes]) -> None:
    body = HEAD.encode() + b"#EXTINF:0.2,\ns0.ts\n#EXTINF:0.2,\n\xff\xfe.ts\n#EXT-X-ENDLIST\n"
    with (
        web_camera(WebCamera(files=segments | {"/live.m3u8": body})) as serving,
        closing(connect(url(f"{serving.url}/live.m3u8"))) as camera,
        pytest.raises(SourceError, match=r"live\.m3u8 cannot be read") as refused,
    ):
        list(camera.packets(lambda: False))
    assert "\n" not in str(refused.value)


def test_segments_that_hold_nothing_are_not_asked_for_without_end(segments: dict[str, bytes]) -> None:
    """Each answer takes a while, and there are thousands of them."""
    body = HEAD.encode() + b"#EXTINF:2,\ns0.ts\n" + b"#EXTINF:2,\n/empty.ts\n" * 9_000 + END.encode()
    camera = WebCamera(files=segments | {"/live.m3u8": body})

    def empty() -> bytes:
        camera.stop.wait(0.05)
        return b"" if len(camera.asked) < 200 else segments["/s1.ts"]

    camera.files = {**camera.files, "/empty.ts": empty}
    with (
        web_camera(camera) as serving,
        closing(connect(url(f"{serving.url}/live.m3u8"), open_seconds=1.0, read_seconds=1.0)) as connection,
        pytest.raises(CameraStalled),
    ):
        list(connection.packets(lambda: False))
    assert len(camera.asked) < 60


def test_a_segment_that_never_ends_is_given_up(segments: dict[str, bytes]) -> None:
    body = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n/endless.ts\n#EXT-X-ENDLIST"
    camera = WebCamera(files={"/live.m3u8": body}, endless=segments["/s0.ts"])
    with web_camera(camera) as serving:
        error = refusal(url(f"{serving.url}/live.m3u8"), open_seconds=20.0)
    assert "a segment is larger than 32 MiB" in str(error)


def test_a_password_goes_with_what_the_playlist_names(segments: dict[str, bytes]) -> None:
    with web_camera(WebCamera(files=segments, password="p@ss")) as serving:
        where = serving.url.removeprefix("http://") + "/live.m3u8"
        with closing(connect(url(f"http://viewer:p%40ss@{where}"))) as camera:
            assert next(camera.container.decode(camera.stream)).width == 160
        whole = LivePlaylist(segments, window=99)().replace(b"\ns", f"\n{serving.url}/s".encode())
        serving.files = segments | {"/live.m3u8": whole + b"#EXT-X-ENDLIST\n"}
        with closing(connect(url(f"http://viewer:p%40ss@{where}"))) as camera:
            assert next(camera.container.decode(camera.stream)).width == 160
        assert isinstance(refusal(url(f"http://viewer:wrong@{where}")), CameraUnauthorized)
        assert isinstance(refusal(url(f"http://viewer:p%40ss@{where}".replace("live", "no"))), CameraNotFound)


def test_a_password_goes_to_no_other_host(segments: dict[str, bytes]) -> None:
    other = WebCamera(files=segments)
    with web_camera(other) as elsewhere, web_camera(WebCamera()) as serving:
        whole = LivePlaylist(segments, window=99)().replace(b"\ns", f"\n{elsewhere.url}/s".encode())
        serving.files = {"/live.m3u8": whole + b"#EXT-X-ENDLIST\n"}
        where = serving.url.removeprefix("http://") + "/live.m3u8"
        with closing(connect(url(f"http://viewer:secret@{where}"))) as camera:
            assert next(camera.container.decode(camera.stream)).width == 160
    assert other.asked
    assert set(other.doors) == {None}


def test_a_playlist_of_fragmented_mp4_by_byte_ranges(tmp_path: Path) -> None:
    files = hls_files(make_clip(tmp_path / "c.mp4", frames=50), tmp_path, single_mp4=True)
    assert b"#EXT-X-BYTERANGE" in files["/live.m3u8"]
    with (
        web_camera(WebCamera(files=files)) as serving,
        closing(connect(url(f"{serving.url}/live.m3u8"))) as camera,
    ):
        assert sum(1 for _ in camera.container.decode(camera.stream)) == 50


def test_a_connection_that_is_forgotten_harms_nothing(segments: dict[str, bytes]) -> None:
    with web_camera(WebCamera(files=segments)) as serving:
        ring: list[object] = [connect(url(f"{serving.url}/live.m3u8"))]
        ring.append(ring)
        del ring
        gc.collect()


# ---- live ------------------------------------------------------------------------------------------


def pictures_in(segments: dict[str, bytes], *which: int) -> int:
    count = 0
    for number in which:
        with av.open(io.BytesIO(segments[f"/s{number}.ts"])) as segment:
            count += sum(packet.size > 0 for packet in segment.demux(video=0))
    return count


def numbers(source: LiveSource, count: int) -> list[int]:
    return [number_of(bgr(frame.picture)) for frame in islice(source.frames(), count)]


def test_a_live_playlist_that_grows_is_followed(segments: dict[str, bytes]) -> None:
    live = LivePlaylist(segments, window=4)
    with web_camera(WebCamera(files=segments | {"/live.m3u8": live})) as serving:
        source = LiveSource("lobby", url(f"{serving.url}/live.m3u8"), policy=LOOPBACK)
        seen = numbers(source, 60)
        source.close()
    assert all(later - earlier == 1 for earlier, later in pairwise(seen))
    assert serving.asked.count("/live.m3u8") > 3
    assert source.corrupt == 0


def test_segments_that_are_gone_are_passed_over(segments: dict[str, bytes]) -> None:
    some = {name: body for name, body in segments.items() if name != "/s3.ts"}
    with web_camera(WebCamera(files=some)) as serving:
        source = LiveSource("lobby", url(f"{serving.url}/live.m3u8"), policy=LOOPBACK)
        seen = numbers(source, 36)
        source.close()
    before, gone = (pictures_in(segments, *which) for which in ((0, 1, 2), (3,)))
    assert seen == [*range(before), *range(before + gone, 36 + gone)]


def test_a_server_that_is_killed_and_comes_back_is_live_again(segments: dict[str, bytes]) -> None:
    port, states = free_port(), []

    with ExitStack() as second, ExitStack() as first:

        def on_state(state: CameraState) -> None:
            states.append(state)
            if state.state == "failed":
                second.enter_context(web_camera(WebCamera(files=segments), port))

        first.enter_context(web_camera(WebCamera(files=segments), port))
        address = url(f"http://127.0.0.1:{port}/live.m3u8")
        source = LiveSource("lobby", address, policy=LOOPBACK, on_state=on_state)
        frames = source.frames()
        seen = [next(frames)]
        first.close()
        while [state.state for state in states].count("live") < 2:
            seen.append(next(frames))
        source.close()

    assert [state.state for state in states] == ["connecting", "live", "connecting", "failed", "live"]
    assert "nobody listens there" in (states[2].error or "")
    times = [frame.pts_us for frame in seen]
    assert times == sorted(times)


def test_a_server_that_falls_silent_is_stalled(segments: dict[str, bytes]) -> None:
    states: list[CameraState] = []

    def on_state(state: CameraState) -> None:
        states.append(state)
        if state.state == "stalled":
            source.close()

    with web_camera(WebCamera(files=segments, silent="/s2.ts")) as serving:
        address = url(f"{serving.url}/live.m3u8")
        source = LiveSource("lobby", address, policy=LOOPBACK, stall_seconds=1.0, on_state=on_state)
        given = len(list(source.frames()))

    assert [state.state for state in states] == ["connecting", "live", "stalled"]
    assert "sends nothing any more" in (states[-1].error or "")
    # The last one may still be in a parser, which waits for what follows.
    assert pictures_in(segments, 0, 1) - 1 <= given <= pictures_in(segments, 0, 1)


# ---- time ------------------------------------------------------------------------------------------


def test_the_senders_clock_is_the_playlists(tmp_path: Path) -> None:
    made_us = now_us()
    clip = make_clip(tmp_path / "c.mp4", frames=50)
    files = hls_files(clip, tmp_path, seconds=0.4, dated=True)
    first = datetime.fromisoformat(re.findall(r"DATE-TIME:(\S+)", files["/live.m3u8"].decode())[0])
    with web_camera(WebCamera(files=files)) as serving:
        source = LiveSource("lobby", url(f"{serving.url}/live.m3u8"), policy=LOOPBACK)
        frames = list(islice(source.frames(), 30))
        source.close()
    assert source.clock == "sender"
    assert frames[0].captured_at_us == pytest.approx(first.timestamp() * 1_000_000, abs=1000)
    assert abs(frames[0].captured_at_us - made_us) < 60_000_000
    for earlier, later in pairwise(frames):
        assert later.captured_at_us - earlier.captured_at_us == pytest.approx(40_000, abs=2000)


def test_times_of_segments() -> None:
    playlist = (
        "#EXTM3U\n#EXTINF:2,\nunknown.ts\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.250Z\n#EXTINF:2,\na.ts\n"
        "#EXTINF:1.5,\nhttp://else.example/b.ts?x=1\n#EXTINF:nan,\nc.ts\n#EXTINF:9e999,\nd.ts\ne.ts\n"
        "#EXT-X-PROGRAM-DATE-TIME:yesterday\nf.ts\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05\ng.ts\n"
        "#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59+0000\n#EXTINF:3600,\nh.ts\n#EXTINF:3600,\ni.ts\n"
        "same.ts\nsame.ts\n"
    )
    begin = 1_767_323_045_250_000
    times = segment_times("http://cam.example/live/x.m3u8", playlist.encode() + b"\xff\xfe\n")
    here = "http://cam.example/live/"
    assert {name: time - begin for name, time in times.items() if time < 10**16} == {
        f"{here}a.ts": 0,
        "http://else.example/b.ts?x=1": 2_000_000,
        f"{here}c.ts": 3_500_000,
        f"{here}d.ts": 3_500_000,
        f"{here}e.ts": 3_500_000,
    }
    assert times[f"{here}i.ts"] - times[f"{here}h.ts"] == 3_600_000_000
    assert f"{here}same.ts" not in times
