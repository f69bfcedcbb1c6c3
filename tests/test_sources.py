"""Every source keeps its promises; what cannot be read is one line; no file reaches beyond itself."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facestream.errors import (
    FacestreamError,
    SourceBroken,
    SourceError,
    SourceMissing,
    SourceUnreadable,
    UsageError,
)
from facestream_producer.folder import FolderSource
from facestream_producer.opening import expand, open_source
from facestream_producer.source import Source
from facestream_producer.upright import Uprighter
from facestream_producer.video import VideoSource
from support.clips import bgr, make_clip, make_sound, number_of, numbered

FRAMES = 12
CLIPS: dict[str, dict[str, object]] = {
    "h264-b-frames.mp4": {"options": {"bf": "2"}},
    "h264.mkv": {},
    "h264.ts": {},
    "raw.h264": {},
    "hevc.mov": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "ten-bit.mp4": {"pix_fmt": "yuv420p10le"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mpeg1.mpg": {"codec": "mpeg1video"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "palette.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "odd.mkv": {"codec": "ffv1", "size": (161, 121), "pix_fmt": "yuv444p"},
    "fragmented.mp4": {"muxer": {"movflags": "frag_keyframe+empty_moov"}},
    "with-sound.mp4": {"sound": True},
    "variable.mkv": {"times_ms": [0, 10, 20, 100, 101, 300, 305, 310, 900, 1000, 1001, 2000]},
    "turned.mp4": {"rotation": -90.0},
}


def make_pictures(folder: Path, frames: int = FRAMES) -> Path:
    folder.mkdir(parents=True)
    for number in range(frames):
        assert cv2.imwrite(str(folder / f"frame{number}.png"), numbered(number))
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for name, how in CLIPS.items():
        make_clip(folder / name, frames=FRAMES, **how)  # type: ignore[arg-type]
    make_pictures(folder / "pictures")
    return folder


@pytest.fixture(params=[*CLIPS, "pictures", "demo:seconds=0.4,seed=2"])
def source(request: pytest.FixtureRequest, inputs: Path) -> Iterator[Source]:
    name = request.param
    opened = open_source(name if name.startswith("demo:") else str(inputs / name))
    yield opened
    opened.close()


def test_gives_every_frame_once_in_order_and_the_same_again(source: Source) -> None:
    first, again = list(source.frames()), list(source.frames())

    assert len(first) == FRAMES
    assert source.corrupt == 0
    assert [frame.pts_us for frame in first] == [frame.pts_us for frame in again]
    assert all(np.array_equal(bgr(a.picture), bgr(b.picture)) for a, b in zip(first, again, strict=True))
    if source.kind == "file" and source.name != "turned.mp4":
        assert [number_of(bgr(frame.picture)) for frame in first] == list(range(FRAMES))


def test_times_begin_at_zero_and_never_decrease(source: Source) -> None:
    frames = list(source.frames())
    times = [frame.pts_us for frame in frames]
    wall = [frame.captured_at_us for frame in frames]

    assert times[0] == 0
    assert times == sorted(times)
    assert times[-1] > times[0]
    assert wall == sorted(wall)


def test_says_what_it_is(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.kind in ("file", "folder", "demo")
    assert source.clock == "file"
    assert not source.live
    assert "/" not in source.name
    assert source.fps is None or 1 <= source.fps <= 1000
    # An estimate, and none at all for a stream without an index; variable rates make it wrong.
    if source.name not in ("raw.h264", "variable.mkv", "mpeg1.mpg"):
        assert source.length is not None
        assert abs(source.length - FRAMES) <= 1


def test_fingerprint_stays_and_tells_sources_apart(source: Source, inputs: Path) -> None:
    assert source.fingerprint() == source.fingerprint()
    others = [inputs / "h264.mkv", inputs / "vp9.webm"]
    assert sum(open_source(str(other)).fingerprint() == source.fingerprint() for other in others) <= 1


def test_closing_ends_the_frames_and_may_be_repeated(source: Source) -> None:
    frames = source.frames()
    next(frames)
    source.close()
    source.close()

    assert list(frames) == []
    assert list(source.frames()) == []


def test_leaving_frames_early_is_no_trouble(source: Source) -> None:
    frames = source.frames()
    kept = next(frames)
    frames.close()  # type: ignore[attr-defined]

    assert bgr(kept.picture).size > 0
    assert len(list(source.frames())) == FRAMES


def test_variable_rate_times_are_the_files_own(inputs: Path) -> None:
    times = [frame.pts_us // 1000 for frame in VideoSource(inputs / "variable.mkv").frames()]
    assert times == CLIPS["variable.mkv"]["times_ms"]


def test_two_recordings_in_one_file_go_on_where_the_first_ended(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "first.ts").read_bytes()
    second = make_clip(tmp_path / "second.ts", size=(320, 240)).read_bytes()
    both = tmp_path / "both.ts"
    both.write_bytes(first + second)
    frames = list(VideoSource(both).frames())

    assert [number_of(bgr(frame.picture)) for frame in frames] == [*range(FRAMES)] * 2
    assert [frame.pts_us for frame in frames] == [number * 40_000 for number in range(2 * FRAMES)]
    assert [bgr(frame.picture).shape[1] for frame in frames] == [160] * FRAMES + [320] * FRAMES


def test_a_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    before = VideoSource(clip).fingerprint()
    os.utime(clip, ns=(1, 1))
    assert VideoSource(clip).fingerprint() != before


def turned(angle: float, flip: bool) -> Callable[[np.ndarray], np.ndarray]:
    """What a player shows: turned counter-clockwise, then mirrored."""

    def turn(image: np.ndarray) -> np.ndarray:
        image = np.rot90(image, round(angle / 90))
        return image[:, ::-1] if flip else image

    return turn


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0])
def test_pictures_stand_upright(tmp_path: Path, angle: float, flip: bool) -> None:
    clip = make_clip(tmp_path / "clip.mp4", rotation=angle, flip=flip, frames=3)
    frames = list(VideoSource(clip).frames())

    assert len(frames) == 3
    for number, frame in enumerate(frames):
        expected = turned(angle, flip)(numbered(number)).astype(int)
        got = bgr(frame.picture).astype(int)
        assert got.shape == expected.shape
        # A wrong orientation of this picture differs by 20 and more.
        assert np.abs(got - expected).mean() < 6


# ---- what breaks off or is damaged ---------------------------------------------------------------


def read_until_broken(source: Source) -> tuple[int, str]:
    given = 0
    try:
        for _ in source.frames():
            given += 1
    except SourceBroken as broken:
        return given, str(broken)
    pytest.fail(f"{source.name} gave {given} frames and did not say that it broke off")


@pytest.mark.parametrize("share", [0.35, 0.6, 0.97])
@pytest.mark.parametrize("name", ["clip.mp4", "fragmented.mp4", "clip.mkv", "clip.avi"])
def test_a_video_that_breaks_off_gives_what_decoded_and_then_says_so(
    tmp_path: Path, name: str, share: float
) -> None:
    flags = {"fragmented.mp4": "frag_keyframe+empty_moov", "clip.mp4": "faststart"}
    muxer = {"movflags": flags[name]} if name in flags else None
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    clip = make_clip(tmp_path / name, frames=40, noise=True, codec=codec, muxer=muxer, options={"bf": "0"})
    whole = [bgr(frame.picture) for frame in VideoSource(clip).frames()]
    clip.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * share)])
    source = VideoSource(clip)
    given, message = read_until_broken(source)

    assert 0 < given < 40
    assert source.corrupt >= 1
    assert f"breaks off after {given} frames" in message
    assert "\n" not in message
    start = VideoSource(clip).frames()
    assert all(np.array_equal(bgr(next(start).picture), whole[index]) for index in range(given))


def test_damage_in_the_middle_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=40, noise=True, muxer={"movflags": "faststart"})
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(range(250)) * 8
    clip.write_bytes(data)
    source = VideoSource(clip)

    given = len(list(source.frames()))
    assert source.corrupt >= 1
    assert 30 <= given < 40


def test_a_video_cut_before_its_index_says_that(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=40, noise=True)
    clip.write_bytes(clip.read_bytes()[:-3000])
    with pytest.raises(SourceUnreadable, match=r"clip\.mp4 is incomplete or damaged: it has no index"):
        VideoSource(clip)


def test_nothing_of_ffmpeg_reaches_the_terminal(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", frames=20, noise=True, codec="mpeg4")
    clip.write_bytes(clip.read_bytes()[:-9000])
    program = (
        "import sys; from pathlib import Path; from facestream_producer.video import VideoSource\n"
        "try: print(len(list(VideoSource(Path(sys.argv[1])).frames())))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(clip)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "SourceBroken\n"
    assert done.stderr == ""


# ---- what is no video at all ---------------------------------------------------------------------


def one_line(error: FacestreamError, path: Path) -> None:
    assert "\n" not in str(error)
    assert path.name in str(error)


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda path: None, SourceMissing, "does not exist"),
        (lambda path: path.touch(), SourceUnreadable, "is empty"),
        (lambda path: path.write_text("hello\n" * 200), SourceUnreadable, "is not a video"),
        (lambda path: path.write_bytes(bytes(5000)), SourceUnreadable, "is not a video"),
        (lambda path: path.mkdir(), SourceUnreadable, "is a folder"),
        (os.mkfifo, SourceUnreadable, "is not a regular file"),
        (make_sound, SourceUnreadable, "has no video stream"),
    ],
    ids=["absent", "empty", "text", "zeros", "folder", "pipe", "sound"],
)
def test_what_is_no_video_is_one_line(
    tmp_path: Path, make: Callable[[Path], object], kind: type[SourceError], says: str
) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(kind, match=says) as refused:
        VideoSource(path)
    one_line(refused.value, path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    clip.chmod(stat.S_IWUSR)
    with pytest.raises(SourceUnreadable, match="permission denied"):
        VideoSource(clip)


def gif_bomb(path: Path) -> Path:
    make_clip(path, codec="gif", pix_fmt="rgb8")
    data = bytearray(path.read_bytes())
    data[6:10] = (60_000).to_bytes(2, "little") * 2
    path.write_bytes(data)
    return path


def y4m_bomb(path: Path, size: str = "W60000 H60000") -> Path:
    path.write_bytes(f"YUV4MPEG2 {size} F25:1 C420jpeg\nFRAME\n".encode() + bytes(4096))
    return path


@pytest.mark.parametrize(
    ("bomb", "says"),
    [
        (gif_bomb, "none of its 12 pictures decodes"),
        (y4m_bomb, "is not a video|the limit is 16384 a side"),
        (lambda path: y4m_bomb(path, "W17000 H16"), "17000x16: the limit is 16384 a side and 100 megapixels"),
        (lambda path: y4m_bomb(path, "W16000 H16000"), "is not a video|the limit is 16384 a side"),
    ],
    ids=["gif", "60000x60000", "17000x16", "16000x16000"],
)
def test_hostile_dimensions_are_refused_before_anything_is_decoded(
    tmp_path: Path, bomb: Callable[[Path], Path], says: str
) -> None:
    path = bomb(tmp_path / "bomb.gif")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match=says):
        list(VideoSource(path).frames())
    # One such picture would take three gigabytes and more.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << (
        10 if sys.platform == "linux" else 20
    )


# ---- a file names no other file and no address ---------------------------------------------------


PLAYLISTS = {
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "concat.ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "list.rtsp.mov": "rtsptext\n{target}\n",
}


@pytest.mark.parametrize("suffix", [None, ".mp4", ".mkv"])
@pytest.mark.parametrize("playlist", PLAYLISTS)
def test_a_playlist_opens_neither_a_file_nor_an_address(
    tmp_path: Path, playlist: str, suffix: str | None
) -> None:
    clip = make_clip(tmp_path / "clip.ts")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        for target in (clip.name, f"file:{clip}", f"http://127.0.0.1:{port}/clip.ts"):
            path = tmp_path / (playlist if suffix is None else f"innocent{suffix}")
            path.write_text(PLAYLISTS[playlist].format(target=target, port=port))
            with pytest.raises(SourceUnreadable, match="is not a video this FFmpeg can read"):
                VideoSource(path)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_file_name_is_never_read_as_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip = make_clip(tmp_path / "clip.mkv")
    with pytest.raises(SourceMissing):
        VideoSource(Path("concat:clip.mkv|clip.mkv"))
    strange = Path("concat:clip.mkv|%03d")
    strange.write_bytes(clip.read_bytes())
    assert len(list(VideoSource(strange).frames())) == FRAMES


# ---- folders -------------------------------------------------------------------------------------


def test_a_folder_keeps_natural_order_and_different_sizes(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", 11)
    assert cv2.imwrite(str(folder / "frame11.png"), numbered(11, 320, 200))
    frames = list(FolderSource(folder).frames())

    assert [number_of(bgr(frame.picture)) for frame in frames] == list(range(12))
    assert bgr(frames[11].picture).shape == (200, 320, 3)


def test_an_unreadable_picture_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", 4)
    (folder / "frame1.png").write_text("not a picture")
    source = FolderSource(folder)
    frames = list(source.frames())

    assert [number_of(bgr(frame.picture)) for frame in frames] == [0, 2, 3]
    assert [frame.pts_us for frame in frames] == [0, 80_000, 120_000]
    assert source.corrupt == 1
    assert len(source.unreadable) == 1
    assert "frame1.png" in source.unreadable[0]


def test_a_folder_in_which_nothing_can_be_read_is_broken(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no")
    source = FolderSource(tmp_path)
    with pytest.raises(SourceBroken, match=r"a\.jpg"):
        list(source.frames())
    assert source.corrupt == 1


def test_a_folder_changes_its_fingerprint_with_its_pictures(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", 2)
    before = FolderSource(folder).fingerprint()
    assert cv2.imwrite(str(folder / "more.png"), numbered(3))
    assert FolderSource(folder).fingerprint() != before


# ---- what a user names ---------------------------------------------------------------------------


def test_expand_makes_one_entry_a_source(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("clip2.mp4", "clip10.mkv", "loop.gif", ".hidden.mp4", "notes.txt"):
        (clips / name).touch()
    pictures = make_pictures(tmp_path / "pictures", 1)
    (pictures / "also.gif").touch()

    assert expand([str(clips)]) == [str(clips / name) for name in ("clip2.mp4", "clip10.mkv", "loop.gif")]
    assert expand([str(pictures)]) == [str(pictures)]
    assert expand([str(clips / "clip*")]) == [str(clips / "clip2.mp4"), str(clips / "clip10.mkv")]
    assert expand([str(tmp_path / "*")]) == [*expand([str(clips)]), str(pictures)]
    assert expand([str(tmp_path / "**" / "*.gif")]) == [str(clips / "loop.gif"), str(pictures / "also.gif")]
    assert expand(["demo:", "0", "/dev/video3", "absent.mp4"]) == ["demo:", "0", "/dev/video3", "absent.mp4"]


def test_a_name_with_glob_characters_is_the_file_if_there_is_one(tmp_path: Path) -> None:
    odd = tmp_path / "clip[1].mp4"
    odd.touch()
    (tmp_path / "clip1.mp4").touch()
    assert expand([str(odd)]) == [str(odd)]


def test_a_picture_file_is_a_source_of_one_frame(tmp_path: Path) -> None:
    picture = tmp_path / "one.PNG"
    assert cv2.imwrite(str(tmp_path / "one.png"), numbered(5))
    (tmp_path / "one.png").rename(picture)
    source = open_source(str(picture))
    assert [number_of(bgr(frame.picture)) for frame in source.frames()] == [5]
    assert source.name == "one.PNG"


@pytest.mark.parametrize(
    ("make", "text", "kind", "says"),
    [
        (None, "*.mp4", SourceMissing, r"nothing matches .*\*\.mp4"),
        ("a.txt", "*", SourceMissing, "nothing that is a video, a picture or a folder"),
        ("a.txt", "", SourceUnreadable, "holds no video and no picture"),
    ],
)
def test_what_expand_cannot_find_is_one_line(
    tmp_path: Path, make: str | None, text: str, kind: type[FacestreamError], says: str
) -> None:
    if make:
        (tmp_path / make).touch()
    with pytest.raises(kind, match=says) as refused:
        expand([str(tmp_path / text) if text else str(tmp_path)])
    assert "\n" not in str(refused.value)


def test_a_folder_of_both_asks_which(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.mp4").touch()
    with pytest.raises(UsageError, match=r"holds 1 videos and 1 pictures.*\*\.mp4"):
        expand([str(tmp_path)])


@pytest.mark.parametrize("refuse", [lambda text: expand([text]), open_source])
def test_an_address_is_refused_without_repeating_it(refuse: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match=r"camera on the network \(rtsp://\) is attached by name") as refused:
        refuse("rtsp://admin:s3cret@camera.example/stream")
    assert "s3cret" not in str(refused.value)
    assert "camera.example" not in str(refused.value)


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are /dev/video* on Linux")
@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("250", SourceMissing, "there is no camera /dev/video250"),
        ("/dev/video251", SourceMissing, "there is no camera /dev/video251"),
        ("/dev/fd", SourceUnreadable, "is not a camera"),
    ],
)
def test_an_absent_camera_is_one_line(text: str, kind: type[SourceError], says: str) -> None:
    with pytest.raises(kind, match=says):
        open_source(text)


@pytest.mark.skipif(sys.platform != "linux", reason="cameras are /dev/video* on Linux")
def test_what_is_no_camera_is_one_line() -> None:
    source = open_source("/dev/null")
    assert source.live
    assert source.clock == "receipt"
    with pytest.raises(SourceUnreadable, match="/dev/null gives no pictures"):
        next(source.frames())


def test_a_picture_is_freed_with_its_last_use(tmp_path: Path) -> None:
    """Not by the garbage collector some hundred pictures later: of large ones that is a gigabyte."""
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    upright = Uprighter()
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            before = sys.getrefcount(picture)
            assert upright(picture) is picture
            assert sys.getrefcount(picture) == before
