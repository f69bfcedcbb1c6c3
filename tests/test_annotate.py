"""Annotated video: on the right frame, in the right place, playable, and whole or not there at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import typer

from facestream.commands.app import run
from facestream.errors import SourceUnreadable, UsageError
from facestream_producer.annotate import annotate
from facestream_producer.annotate_command import register
from facestream_producer.demo import DemoSource
from facestream_producer.device import DeviceSource
from facestream_producer.film import ENCODERS, h264_encoder
from facestream_producer.folder import FolderSource
from facestream_producer.source import Source
from facestream_producer.video import VideoSource
from support.clips import bgr, make_clip, number_of, numbered

BOX = [20.0, 8.0, 30.0, 24.0]


def face(box: list[float], score: float = 0.9) -> dict[str, Any]:
    x, y, width, height = box
    return {
        "box": box,
        "score": score,
        "landmarks": [[x + width / 2, y + height / 2]] * 5,
        "attributes": {"gender": {"label": "female", "score": 0.99}},
    }


def result(seq: int, pts_us: int, faces: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Of a 320x240 picture that was analysed at a quarter of its size."""
    return {
        "v": 1,
        "camera": "clip",
        "source": "clip.mp4",
        "epoch": 7,
        "seq": seq,
        "pts_us": pts_us,
        "width": 80,
        "height": 60,
        "source_width": 320,
        "source_height": 240,
        "region": [0, 0, 320, 240],
        "faces": faces,
    } | changes


def results_of(source: Source, faces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [result(seq, frame.pts_us, faces) for seq, frame in enumerate(source.frames())]


def pictures_in(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def changed(picture: np.ndarray, plain: np.ndarray) -> tuple[int, int, int]:
    """Left, right and bottom of the box drawn; its label may be wider, so the lower half is looked at."""
    difference = np.abs(picture.astype(int) - plain.astype(int)).max(axis=2) > 70
    rows = np.flatnonzero(difference.any(axis=1))
    lower = difference[(rows[0] + rows[-1]) // 2 :]
    columns = np.flatnonzero(lower.any(axis=0))
    return int(columns[0]), int(columns[-1]), int(rows[-1])


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", size=(320, 240), options={"crf": "10"})


def test_browsers_can_play_it(tmp_path: Path, clip: Path) -> None:
    out = tmp_path / "made" / "annotated.mp4"
    source = VideoSource(clip)
    done = annotate(source, results_of(source, []), out)

    assert (done.pictures, done.with_result, done.broken) == (12, 12, None)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert context.name == "h264"
        assert (context.pix_fmt, context.width, context.height) == ("yuv420p", 320, 240)
        assert (context.colorspace, context.color_range, context.color_primaries, context.color_trc) == (
            1,
            1,
            1,
            1,
        )
        assert [round(frame.time * 1000) for frame in container.decode(stream)] == [n * 40 for n in range(12)]
    data = out.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    assert [number_of(picture) for picture in pictures_in(out)] == list(range(12))
    assert files_in(out.parent) == ["annotated.mp4"]


def test_colours_are_those_of_the_source(tmp_path: Path) -> None:
    demo = DemoSource(seconds=0.1)
    annotate(demo, [], tmp_path / "out.mp4")
    for got, wanted in zip(pictures_in(tmp_path / "out.mp4"), demo.frames(), strict=True):
        difference = got.astype(int) - bgr(wanted.picture).astype(int)
        assert np.abs(difference).mean() < 3.5
        assert np.abs(difference.mean(axis=(0, 1))).max() < 3


def test_a_face_is_drawn_where_the_result_has_it(tmp_path: Path, clip: Path) -> None:
    source = VideoSource(clip)
    annotate(source, results_of(source, [face([20, 20, 30, 24])]), tmp_path / "out.mp4")
    for frame, picture in zip(source.frames(), pictures_in(tmp_path / "out.mp4"), strict=True):
        assert changed(picture, bgr(frame.picture)) == pytest.approx((80, 200, 176), abs=6)


def test_a_region_of_the_source_moves_and_scales_the_face(tmp_path: Path, clip: Path) -> None:
    source = VideoSource(clip)
    region = {"region": [160, 120, 80, 60], "width": 80, "height": 60}
    results = [entry | region for entry in results_of(source, [face([10, 20, 50, 30])])]
    annotate(source, results, tmp_path / "out.mp4")
    picture = pictures_in(tmp_path / "out.mp4")[4]
    assert changed(picture, nth(source, 4)) == pytest.approx((170, 220, 170), abs=6)


def nth(source: Source, number: int) -> np.ndarray:
    return bgr([frame.picture for frame in source.frames()][number])


def test_frames_without_a_result_are_plain_and_shift_nothing(tmp_path: Path, clip: Path) -> None:
    source = VideoSource(clip)
    # Frame 3 was dropped before it was numbered, frame 7 after; 11 never came.
    drawn = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    results = [result(seq, number * 40_000, [face(BOX)]) for seq, number in enumerate(drawn)]
    done = annotate(source, results, tmp_path / "out.mp4")

    assert (done.pictures, done.with_result) == (12, 9)
    pictures = pictures_in(tmp_path / "out.mp4")
    has_box = [
        np.abs(picture.astype(int) - bgr(frame.picture).astype(int)).max() > 100
        for picture, frame in zip(pictures, source.frames(), strict=True)
    ]
    assert [number for number, boxed in enumerate(has_box) if boxed] == drawn
    assert [number_of(picture) for picture in pictures] == list(range(12))


def test_the_still_is_the_frame_with_most_faces(tmp_path: Path, clip: Path) -> None:
    source = VideoSource(clip)
    results = results_of(source, [face(BOX)])
    results[5]["faces"] = [face(BOX), face([50, 30, 20, 20])]
    still = tmp_path / "still.jpg"
    annotate(source, results, tmp_path / "out.mp4", still)

    picture = cv2.imread(str(still))
    assert picture.shape == (240, 320, 3)
    assert number_of(picture) == 5


def test_the_still_of_a_video_without_faces_is_its_first_frame(tmp_path: Path, clip: Path) -> None:
    still = tmp_path / "still.jpeg"
    annotate(VideoSource(clip), [], tmp_path / "out.mp4", still)
    assert number_of(cv2.imread(str(still))) == 0


@pytest.mark.parametrize(
    ("size", "expected"), [((161, 121), (162, 122)), ((17, 5), (18, 16)), ((2400, 100), (1920, 80))]
)
def test_any_size_becomes_one_that_plays(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    source = VideoSource(
        make_clip(tmp_path / "clip.mkv", size=size, codec="ffv1", pix_fmt="yuv444p", frames=3)
    )
    annotate(source, results_of(source, [face(BOX)]), tmp_path / "out.mp4")
    pictures = pictures_in(tmp_path / "out.mp4")
    assert len(pictures) == 3
    assert pictures[0].shape[1::-1] == expected


def test_pictures_of_other_shapes_are_fitted_into_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, size in enumerate([(320, 240), (120, 240), (640, 480)]):
        assert cv2.imwrite(str(folder / f"{number}.png"), numbered(number, *size))
    annotate(FolderSource(folder), [], tmp_path / "out.mp4")
    first, narrow, large = pictures_in(tmp_path / "out.mp4")
    assert (number_of(first), number_of(large)) == (0, 2)
    assert number_of(narrow[:, 100:220]) == 1
    assert narrow[:, :90].mean() < 40


def test_variable_times_are_kept_and_equal_ones_do_not_collide(tmp_path: Path) -> None:
    times = [0, 10, 20, 100, 101, 300, 305, 310, 900, 1000, 1001, 2000]
    source = VideoSource(make_clip(tmp_path / "clip.mkv", times_ms=times))
    annotate(source, [], tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [round(frame.time * 1000) for frame in container.decode(video=0)] == times


def test_a_source_that_breaks_off_is_annotated_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=40, noise=True, muxer={"movflags": "faststart"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    done = annotate(VideoSource(clip), [], tmp_path / "out.mp4")

    assert done.broken is not None
    assert "breaks off after" in done.broken
    assert 5 < done.pictures == len(pictures_in(tmp_path / "out.mp4")) < 40


def test_progress_counts_frames(tmp_path: Path, clip: Path) -> None:
    told: list[int] = []
    annotate(VideoSource(clip), [], tmp_path / "out.mp4", progress=told.append)
    assert told == list(range(2, 13))


def test_the_encoder_is_one_this_pyav_has() -> None:
    assert h264_encoder() in ENCODERS


# ---- what cannot be written ----------------------------------------------------------------------


def test_nothing_is_left_and_nothing_replaced_when_it_fails(tmp_path: Path, clip: Path) -> None:
    out = tmp_path / "out" / "annotated.mp4"
    out.parent.mkdir()
    out.write_bytes(b"the one before")
    broken: list[Mapping[str, Any]] = [{"pts_us": 0}]
    with pytest.raises(KeyError):
        annotate(VideoSource(clip), broken, out)
    assert files_in(out.parent) == ["annotated.mp4"]
    assert out.read_bytes() == b"the one before"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from facestream.errors import FacestreamError
from facestream_producer.annotate import annotate
from facestream_producer.video import VideoSource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    annotate(VideoSource(Path(sys.argv[1])), [], Path(sys.argv[2]), Path(sys.argv[2]).with_suffix(".jpg"))
except FacestreamError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [0, 1, 40_000, 200_000])
def test_a_full_disk_is_one_line_and_no_half_file(tmp_path: Path, limit: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=60, noise=True)
    out = tmp_path / "out" / "annotated.mp4"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(clip), str(out), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "annotated.mp4 (" in done.stdout
    assert "free some space" in done.stdout
    assert files_in(out.parent) == []


def test_names_and_sources_that_cannot_be_are_refused(tmp_path: Path, clip: Path) -> None:
    source = VideoSource(clip)
    with pytest.raises(UsageError, match=r"ends in \.mp4"):
        annotate(source, [], tmp_path / "out.avi")
    with pytest.raises(UsageError, match=r"ends in \.jpg"):
        annotate(source, [], tmp_path / "out.mp4", tmp_path / "still.png")
    with pytest.raises(UsageError, match="cannot write"):
        annotate(source, [], clip / "below-a-file" / "out.mp4")
    if sys.platform == "linux":
        with pytest.raises(UsageError, match="is live"):
            annotate(DeviceSource("/dev/null"), [], tmp_path / "out.mp4")


def test_a_folder_without_a_readable_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no")
    with pytest.raises(SourceUnreadable, match=r"a\.jpg"):
        annotate(FolderSource(tmp_path), [], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


# ---- the command ---------------------------------------------------------------------------------


def command(*arguments: object) -> int:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return run(app, ["annotate", *map(str, arguments)])


def write_results(path: Path, results: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in results))
    return path


def test_the_command_draws_the_cameras_latest_epoch_in_order(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = VideoSource(clip)
    wanted = results_of(source, [face(BOX)])
    other = [entry | {"camera": "other", "source": "other.mp4"} for entry in wanted]
    older = [entry | {"epoch": 6} for entry in wanted]
    jsonl = write_results(tmp_path / "results.jsonl", [*other, *older, *reversed(wanted[:9])])
    out = tmp_path / "out.mp4"

    assert command(clip, "--results", jsonl, "--out", out, "--still", tmp_path / "still.jpg") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "12 frames, 9 with a result" in said.err
    assert len(pictures_in(out)) == 12
    assert (tmp_path / "still.jpg").exists()


@pytest.mark.parametrize(
    ("lines", "extra", "says"),
    [
        (["{"], [], "line 1 of"),
        (["[]"], [], "line 1 of"),
        ([json.dumps(result(0, 0, [{"box": [1]}]))], [], "line 1 of"),
        ([json.dumps(result(0, 0, [])), "", "7"], [], "line 3 of"),
        ([], [], "the results are empty"),
        ([json.dumps(result(0, 0, []))], ["--camera", "door"], "none of camera door"),
        (
            [json.dumps(result(0, 0, [], source="a", camera=name)) for name in ("one", "two")],
            [],
            "choose one by --camera one|two",
        ),
        ([json.dumps(result(0, 123, []))], [], "is it of another video?"),
    ],
)
def test_wrong_results_are_one_line(
    tmp_path: Path,
    clip: Path,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    extra: list[str],
    says: str,
) -> None:
    jsonl = tmp_path / "results.jsonl"
    jsonl.write_text("\n".join(lines))
    assert command(clip, "--results", jsonl, "--out", tmp_path / "out.mp4", *extra) == 2
    said = capsys.readouterr().err.splitlines()
    assert says in said[-1]
    assert said[-1].startswith("facestream: ")


def test_absent_results_and_sources_are_one_line(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(clip, "--results", tmp_path / "none.jsonl", "--out", tmp_path / "out.mp4") == 2
    assert "cannot read the results" in capsys.readouterr().err
    assert command(tmp_path / "none.mp4", "--results", clip, "--out", tmp_path / "out.mp4") == 1
    assert "does not exist" in capsys.readouterr().err
    assert command(clip, "--results", clip, "--out", tmp_path / "out.mp4") == 2
    assert "it is not text" in capsys.readouterr().err
