"""A rate limit is even and exact in the long run; a recording is given at its own pace."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.contract import SourceDrop
from facestream_producer.lag import Lag
from facestream_producer.nonreference import Droppable
from facestream_producer.pacing import Pacer, RealTime
from facestream_producer.played import PlayedFile
from facestream_producer.presentation import Presentation
from facestream_producer.selection import Counts, Selection
from facestream_producer.source import SourceFrame
from support.clips import bgr, make_clip, number_of, numbered
from support.rtsp import B_FRAMES
from support.shared import shared_video

SECOND = 1_000_000


def kept(fps: float, times_us: list[int]) -> list[int]:
    pacer = Pacer(fps)
    return [at for at in times_us if pacer.wanted(at)]


@pytest.mark.parametrize(
    ("rate", "fps"), [(30, 5), (25, 10), (30, 7), (25, 24), (60, 1), (29.97, 5), (15, 0.5)]
)
def test_the_rate_is_exact_in_the_long_run_and_never_a_burst(rate: float, fps: float) -> None:
    seconds = 60
    times = [round(number * SECOND / rate) for number in range(round(seconds * rate))]
    chosen = kept(fps, times)

    assert abs(len(chosen) - seconds * fps) <= 1
    apart = [later - earlier for earlier, later in pairwise(chosen)]
    # Never off by more than one of the stream's own frames.
    assert all(abs(gap - SECOND / fps) <= SECOND / rate + 2 for gap in apart)


@given(
    steps=st.lists(st.integers(0, 400_000), min_size=2, max_size=200),
    fps=st.floats(0.2, 60, allow_nan=False),
)
def test_never_more_than_the_limit_whatever_the_times(steps: list[int], fps: float) -> None:
    times = [sum(steps[: index + 1]) for index in range(len(steps))]
    chosen = kept(fps, times)
    span = times[-1] - times[0]

    assert chosen[:1] == times[:1]
    assert len(chosen) <= span * fps / SECOND + 2


@given(
    times=st.lists(st.integers(0, 10 * SECOND), min_size=1, max_size=60),
    fps=st.floats(0.5, 30, allow_nan=False),
)
def test_what_is_called_early_is_refused(times: list[int], fps: float) -> None:
    """Decoding of what is early is left out: were it wanted later, a picture would be missing."""
    asking, plain = Pacer(fps), Pacer(fps)
    interval = SECOND / fps
    for at in sorted(times):
        early = asking.early(at)
        wanted = plain.wanted(at)
        assert asking.wanted(at) == wanted  # asking changed nothing
        # The tolerance follows the stream's own step, and so may grow by this very picture.
        assert not (early and wanted) or (interval > 0 and _near(plain, at, interval))


def _near(pacer: Pacer, at: int, interval: float) -> bool:
    assert pacer._due_us is not None
    return abs(pacer._due_us - interval - at) <= interval / 4


def test_after_a_gap_nothing_is_made_up_for() -> None:
    assert kept(5, [0, 200_000, 9_000_000, 9_040_000, 9_080_000, 9_200_000]) == [
        0,
        200_000,
        9_000_000,
        9_200_000,
    ]


def test_a_clock_that_went_back_is_followed() -> None:
    back = [0, 200_000, 10_000_000, 0, 40_000, 200_000, 400_000]
    assert kept(5, back) == [0, 200_000, 10_000_000, 0, 200_000, 400_000]


def test_a_recording_waits_for_its_time_and_does_not_hurry_who_is_late() -> None:
    pace = RealTime()
    assert pace.wait_seconds(0, now=100.0) == 0
    assert pace.wait_seconds(400_000, now=100.1) == pytest.approx(0.3)
    # A little late is caught up with,
    assert pace.wait_seconds(800_000, now=101.0) == 0
    assert pace.wait_seconds(1_200_000, now=101.1) == pytest.approx(0.1)
    # more is not: the rest comes later.
    assert pace.wait_seconds(1_600_000, now=103.6) == 0
    assert pace.wait_seconds(2_000_000, now=103.6) == pytest.approx(0.4)
    # An hour's jump in the recording is not waited for.
    assert pace.wait_seconds(3600 * SECOND, now=104.0) == 0
    assert pace.wait_seconds(3600 * SECOND + 500_000, now=104.0) == pytest.approx(0.5)


def test_lag_grows_while_reading_is_behind_and_is_forgotten_when_the_cameras_times_jumped() -> None:
    lag = Lag(limit_seconds=1.0)
    assert [lag.seconds(at * SECOND, now=50.0 + at) for at in range(3)] == [0, 0, 0]
    assert lag.seconds(3 * SECOND, now=55.0) == pytest.approx(2, abs=0.1)
    assert lag.seconds(5 * SECOND, now=55.1) == pytest.approx(0.1, abs=0.1)
    # From here on the camera's times are three seconds behind for good: no lag.
    late = [lag.seconds((at - 3) * SECOND, now=50.0 + at) for at in range(6, 20)]
    assert late[0] == pytest.approx(3, abs=0.1)
    assert late[-1] == 0


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize(("fps", "step"), [(None, 1), (5.0, 5), (25.0, 1)])
def test_a_played_file_gives_the_same_pictures_at_any_pace(
    tmp_path_factory: pytest.TempPathFactory, codec: str, b_frames: int, fps: float | None, step: int
) -> None:
    options = {"bf": str(b_frames)}
    if codec == "libx265":
        options = {"x265-params": f"log-level=none:bframes={b_frames}"}
    clip = make_clip(tmp_path_factory.mktemp("clip") / "c.mkv", frames=20, codec=codec, options=options)
    source = PlayedFile(clip, fps=fps, realtime=False)
    for _ in range(2):
        frames = list(source.frames())
        assert [number_of(bgr(frame.picture)) for frame in frames] == list(range(0, 20, step))
        assert [frame.pts_us for frame in frames] == [40_000 * number for number in range(0, 20, step)]
    assert not source.live
    assert source.clock == "file"
    assert source.skipped[SourceDrop.FPS_LIMIT] == 2 * (20 - 20 // step)
    assert source.corrupt == 0


def test_a_looped_file_goes_on_in_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    clip = make_clip(tmp_path_factory.mktemp("clip") / "c.mp4", frames=10)
    source = PlayedFile(clip, realtime=False, loop=True)
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == 25:
            source.close()
    assert [number_of(bgr(frame.picture)) for frame in frames] == [number % 10 for number in range(25)]
    assert [frame.pts_us for frame in frames] == [40_000 * number for number in range(25)]
    assert source.length is None


def share_thrown_away(clip: Path) -> float:
    """How much of a clip's packets may be thrown away; what is left decodes to the very same pictures."""
    with av.open(str(clip)) as container:
        whole = {frame.pts: frame.to_ndarray() for frame in container.decode(video=0)}
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        context = container.streams.video[0].codec_context
        droppable = Droppable(context)
        kept = []
        for packet in packets:
            if packet.is_keyframe:
                droppable.note(packet)
            if not droppable(packet):
                kept.append(packet)
        frames = [frame for packet in [*kept, None] for frame in context.decode(packet)]

    assert len(frames) == len(kept)
    assert not any(frame.is_corrupt for frame in frames)
    assert all(np.array_equal(frame.to_ndarray(), whole[frame.pts]) for frame in frames)
    return 1 - len(kept) / len(packets)


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
def test_what_may_be_thrown_away_is_missed_by_no_other_picture(
    tmp_path_factory: pytest.TempPathFactory, suffix: str
) -> None:
    clip = make_clip(tmp_path_factory.mktemp("clip") / f"c.{suffix}", frames=36, options=B_FRAMES)
    assert share_thrown_away(clip) > 1 / 3  # two of three are B


HEVC: dict[str, tuple[str, float]] = {
    # Two of three are B, and none is made from them.
    "flat": ("bframes=2:b-adapt=0:b-pyramid=0:scenecut=0", 0.6),
    # Of the three between two others, the middle one is referred to.
    "pyramid": ("bframes=3:b-adapt=0:b-pyramid=1:scenecut=0", 0.4),
    "open": ("bframes=3:b-adapt=0:b-pyramid=1:scenecut=0:open-gop=1", 0.4),
    # No reference in its own sublayer may still be one to the sublayer above.
    "sublayers": ("bframes=3:b-adapt=0:b-pyramid=1:scenecut=0:temporal-layers=3", 0.3),
    "none": ("bframes=0", 0.0),
}


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
@pytest.mark.parametrize("how", HEVC)
def test_of_hevc_too(tmp_path_factory: pytest.TempPathFactory, how: str, suffix: str) -> None:
    parameters, least = HEVC[how]
    options = {"x265-params": f"log-level=none:{parameters}"}
    clip = tmp_path_factory.mktemp("clip") / f"c.{suffix}"
    make_clip(clip, frames=36, codec="libx265", options=options)
    share = share_thrown_away(clip)
    assert (share > least) if least else (share == 0)


@pytest.mark.shared_data
def test_of_hevc_from_a_phone() -> None:
    assert share_thrown_away(shared_video("pyfeat_face_noface.mov")) > 0.4


@pytest.mark.parametrize("b_frames", [False, True])
@given(
    late=st.lists(st.sampled_from([0.0, 0.0, 0.0, 9.0]), min_size=60, max_size=60),
    fps=st.sampled_from([None, 0.5, 5.0, 12.0]),
)
@settings(max_examples=25, deadline=None)
def test_every_packet_is_given_or_counted(
    clips: dict[bool, Path], b_frames: bool, late: list[float], fps: float | None
) -> None:
    """Whoever falls behind goes on from a whole picture; whatever happens, nothing is unaccounted for."""
    counts, packets = Counts(), 0
    given_frames: list[SourceFrame] = []
    with av.open(str(clips[b_frames])) as container:
        stream = container.streams.video[0]
        selection = Selection(
            stream, Presentation(0), counts, lambda _packet, at: at, Pacer(fps) if fps else None
        )
        for packet, seconds in zip(container.demux(stream), late, strict=False):
            if packet.size:
                packets += 1
                given_frames += selection.take(packet, 0, seconds)
        given_frames += selection.finish()

    assert packets == 60
    assert len(given_frames) + counts.skipped.total() + counts.corrupt == packets
    assert counts.corrupt == 0
    shown = [number_of(bgr(frame.picture)) for frame in given_frames]
    assert shown == sorted(set(shown))
    assert bool(counts.skipped[SourceDrop.SOURCE_QUEUE_FULL]) == any(late)
    if fps is None and not any(late):
        assert shown == list(range(60))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("selected")
    return {
        False: make_clip(folder / "p.ts", frames=60, options={"bf": "0"}),
        True: make_clip(folder / "b.ts", frames=60, options=B_FRAMES),
    }


HABITS = {
    "a habit": range(0, 120, 12),
    "a habit that ends": [0, 12, 24, 36, 97],
    "a habit, and one between": [0, 12, 24, 36, 43, 48, 60, 72, 84],
    "no habit": [0, 7, 31, 40, 71],
}


@pytest.mark.parametrize("keys", HABITS.values(), ids=HABITS.keys())
@pytest.mark.parametrize("fps", [2.0, 5.0, 9.0])
def test_waiting_for_a_whole_picture_changes_no_picture(tmp_path: Path, keys: list[int], fps: float) -> None:
    """What is given is what a full decode gives; where whole pictures are a habit, less is decoded for it."""
    clip, pacer, expected = clip_with_keyframes(tmp_path / "c.ts", keys), Pacer(fps), []
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            at_us = round(float(picture.time or 0) * SECOND)
            if pacer.wanted(at_us):
                expected.append(bgr(picture))

    counts = Counts()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        selection = Selection(stream, Presentation(0), counts, lambda _packet, at: at, Pacer(fps))
        shown = [
            bgr(frame.picture)
            for packet in container.demux(stream)
            if packet.size
            for frame in selection.take(packet, 0)
        ]
        shown += [bgr(frame.picture) for frame in selection.finish()]
    assert [number_of(picture) for picture in shown] == [number_of(picture) for picture in expected]
    assert all(np.array_equal(one, other) for one, other in zip(shown, expected, strict=True))
    assert len(shown) + counts.skipped[SourceDrop.FPS_LIMIT] == 120
    assert (selection.decoded < 120) or keys != HABITS["a habit"]


def clip_with_keyframes(path: Path, keys: Iterable[int]) -> Path:
    """120 numbered pictures, 25 a second, without B-frames, whole ones at these numbers."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.options = {"bf": "0", "g": "250", "sc_threshold": "0", "forced-idr": "1"}
        for number in range(120):
            frame = av.VideoFrame.from_ndarray(numbered(number), "bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.pict_type = PictureType.I if number in keys else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
