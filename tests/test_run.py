"""`facestream run` as a person starts it, on good input: every frame of every source, and the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from facestream.broker import EmbeddedBroker
from facestream_producer.demo import parse_demo
from support.clips import make_clip
from support.portraits import scene, weights
from support.processes import Ended, assert_no_traceback, facestream

RESULT_FIELDS = {
    "v", "camera", "source", "epoch", "seq", "pts_us", "captured_at_us", "clock", "completed_at_us",
    "width", "height", "source_width", "source_height", "region", "faces", "models", "timings_ms", "worker",
}  # fmt: skip
FRAMES, SIDE = 20, 480


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    weights()


def face_clip(path: Path, frames: int = FRAMES) -> Path:
    """Four people who move to the right by a pixel each frame."""
    people = cv2.resize(scene(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(people, number, axis=1), "bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def results_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_whole(ended: Ended, frames: int) -> dict[str, Any]:
    """The run ended well, and says that every frame did."""
    assert_no_traceback(ended)
    assert ended.said == []
    assert ended.status == 0, ended.err
    summary = ended.summary
    assert summary["every_frame_has_one_end"] is True
    assert summary["captured"] == summary["published"] == summary["results"] == frames
    assert (summary["dropped"], summary["failed"], summary["restarts"]) == ({}, {}, 0)
    return summary


def test_a_clip_becomes_results_in_order_and_a_video(tmp_path: Path) -> None:
    clip, out, video = face_clip(tmp_path / "-My Clip.mp4"), tmp_path / "new" / "r.jsonl", tmp_path / "a.mp4"
    options = ["--attributes", "gender,age", "--workers", 2, "--json", "--out", out, "--annotate", video]
    summary = assert_whole(facestream("run", *options, "--", clip.name, cwd=tmp_path), FRAMES)

    results = results_of(out)
    assert [result["seq"] for result in results] == list(range(FRAMES))
    assert {frozenset(result) for result in results} == {frozenset(RESULT_FIELDS)}
    assert len({result["epoch"] for result in results}) == 1
    assert [result["pts_us"] for result in results] == [number * 40_000 for number in range(FRAMES)]
    for result in results:
        assert (result["v"], result["camera"], result["source"]) == (1, "my-clip", "-My Clip.mp4")
        assert (result["clock"], result["width"], result["height"]) == ("file", SIDE, SIDE)
        assert result["region"] == [0, 0, SIDE, SIDE]
        assert set(result["models"]) == {"detector", "gender", "age"}
        assert set(result["timings_ms"]) == {"decode", "detect", "align", "classify"}
        assert result["completed_at_us"] > result["captured_at_us"]
        assert_faces(result["faces"])
    faces = [face for result in results for face in result["faces"]]
    assert len(faces) >= FRAMES * 3
    assert summary["faces"] == len(faces)
    assert sum(summary["labels"]["gender"].values()) == len(faces)
    assert summary["workers"] == 2

    assert summary["annotated"] == [str(video), str(tmp_path / "a.jpg")]
    assert frames_in(video) == FRAMES
    still = cv2.imread(str(tmp_path / "a.jpg"))
    assert still is not None
    assert still.shape == (SIDE, SIDE, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["-My Clip.mp4", "a.jpg", "a.mp4", "new"]


def assert_faces(faces: Sequence[dict[str, Any]]) -> None:
    for face in faces:
        assert set(face) == {"box", "score", "landmarks", "attributes"}
        x, y, width, height = face["box"]
        assert 0 <= x < x + width <= SIDE
        assert 0 <= y < y + height <= SIDE
        assert len(face["landmarks"]) == 5
        assert 0.6 <= face["score"] <= 1
        assert face["attributes"]["gender"]["label"] in {"female", "male", "unknown"}
        years = face["attributes"]["age"]["years"]
        assert years is None or 0 <= years <= 81


def frames_in(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_many_sources_at_once_each_keep_their_own_order(tmp_path: Path) -> None:
    """A glob, two files of the same name, a folder of pictures; results and video of all of them."""
    for folder, frames in (("a", 5), ("b", 7)):
        (tmp_path / folder).mkdir()
        make_clip(tmp_path / folder / "clip.mp4", frames=frames)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in (10, 2, 1):
        cv2.imwrite(str(photos / f"p{number}.png"), np.full((64 + number, 64, 3), 90, np.uint8))
    sources = [tmp_path / "[ab]" / "clip.mp4", photos]
    ended = facestream(
        "run",
        *sources,
        "--attributes",
        "none",
        "--out",
        "-",
        "--annotate",
        tmp_path / "v[" / "b].mp4",
        "--workers",
        1,
    )
    assert_no_traceback(ended)
    assert ended.status == 0, ended.err
    assert "every frame has one end" in ended.err
    assert "v[/b]-photos.mp4" in ended.err  # a name is no markup
    assert "apparent" not in ended.err  # nothing was labelled

    by_camera: dict[str, list[dict[str, Any]]] = {}
    for line in ended.out.splitlines():
        result = json.loads(line)
        by_camera.setdefault(result["camera"], []).append(result)
    assert {name: len(results) for name, results in by_camera.items()} == {
        "clip": 5,
        "clip-2": 7,
        "photos": 3,
    }
    for results in by_camera.values():
        assert [result["seq"] for result in results] == list(range(len(results)))
        assert {tuple(result["models"]) for result in results} == {("detector",)}
    assert [result["height"] for result in by_camera["photos"]] == [65, 66, 74]
    for camera, results in by_camera.items():
        assert frames_in(tmp_path / "v[" / f"b]-{camera}.mp4") == len(results)


def test_the_demo_is_told_truly_and_again_on_a_real_server(
    broker: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """Four faces a frame where they are, labelled as they are; a second run counts only itself."""
    epochs = []
    for name, source in (("one", "demo:seconds=1"), ("two", "demo:seconds=0.5")):
        scene_of = parse_demo(source)
        out = tmp_path / f"{name}.jsonl"
        ended = facestream(
            *("run", source, "--out", out, "--json", "--workers", 1, "--redis", broker.url),
            environment={"FACESTREAM_PREFIX": prefix},
        )
        frames = scene_of.length or 0
        summary = assert_whole(ended, frames)
        assert summary["faces"] == 4 * frames
        assert summary["labels"] == {"gender": {"female": 2 * frames, "male": 2 * frames}}
        results = results_of(out)
        assert [result["seq"] for result in results] == list(range(frames))
        assert {len(result["faces"]) for result in results} == {4}
        for result in results:
            for box, gender in scene_of.truth(result["seq"]):
                face = max(result["faces"], key=lambda face, box=box: overlap(face["box"], box))
                assert overlap(face["box"], box) > 0.6
                assert face["attributes"]["gender"]["label"] == gender
        epochs.append({result["epoch"] for result in results})
    [[first], [second]] = epochs
    assert second > first


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes [x, y, width, height]."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
