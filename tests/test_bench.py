"""Every bench runs on a few frames, and its JSON holds together. No figure of time is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facestream_models.catalogue import load_catalogue
from facestream_models.store import WeightsStore
from support.weights import pull_or_skip

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def _weights() -> None:
    catalogue = load_catalogue()
    pull_or_skip(WeightsStore(), [catalogue.for_role(role) for role in ("detector", "gender", "age")])


def run_bench(name: str, out: Path, *arguments: str) -> dict[str, Any]:
    """Run it as people do, on the command line; what it wrote."""
    process = _python("-m", f"bench.{name}", "--out", str(out), *arguments)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert report["bench"] == name
    assert {"processor", "features", "cores", "python", "libraries", "load_average"} <= report[
        "machine"
    ].keys()
    for key, goal in report["goals"].items():
        assert isinstance(report[key], int | float)
        assert goal["met"] in (True, False)
        assert goal["goal"] in process.stdout
    return report


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )


def test_worker_against_its_bare_loop(tmp_path: Path) -> None:
    report = run_bench(
        "worker", tmp_path / "w.json", "--source", "demo:seconds=1", "--frames", "6", "--repeat", "2",
        "--label-frames", "3",
    )  # fmt: skip
    assert report["frames"] == report["results"] == 6
    assert report["dropped"] == 0
    assert len(report["ratios"]) == 2
    assert report["ratio"] == pytest.approx(sum(report["ratios"]) / 2)
    assert report["goals"]["ratio"]["met"] is (report["ratio"] >= 0.95)
    assert report["broker_cpu_us"] > 0
    stages = {row["stage"]: row for row in report["stages_ms"]}
    assert list(stages) == [
        "decode",
        "detect",
        "align",
        "classify",
        "broker",
        "everything else",
        "all",
    ]
    assert stages["broker"]["bare loop"] == 0
    assert all(stages[stage]["worker"] > 0 for stage in ("decode", "detect", "classify", "broker"))
    labels = report["labels"]
    assert labels["frames"] == 3
    assert labels["faces"] == labels["frames"] * report["faces_a_frame"]
    assert labels["right"] + labels["unknown"] <= labels["faces"]


def test_against_the_reference_loop(tmp_path: Path) -> None:
    report = run_bench(
        "reference", tmp_path / "r.json", "--source", "demo:seconds=1", "--frames", "4", "--repeat", "2",
        "--engine", "onnxruntime",
    )  # fmt: skip
    assert report["settings"]["engine"] == "onnxruntime"
    assert len(report["speed_ups"]) == 2
    assert report["speed_up"] == pytest.approx(sum(report["speed_ups"]) / 2)
    # The reference finds the faces that are there: it is the same work that is timed.
    assert report["reference_faces"] == 4 * 4
    stages = {row["stage"]: row for row in report["stages_ms"]}
    assert list(stages) == ["decode", "detect", "align", "classify", "processor time in all"]
    assert all(row["reference"] > 0 and row["bare loop"] > 0 for row in stages.values())


def test_growth(tmp_path: Path) -> None:
    report = run_bench("growth", tmp_path / "g.json", "--repeat", "1", "--engine", "onnxruntime")
    # Every face of the pictures is found: it is their time that grows.
    assert report["found"] == {"0": 0, "1": 1, "4": 4, "16": 16, "64": 64}
    assert [row["faces"] for row in report["faces_ms"]] == [0, 1, 4, 16, 64]
    assert [row["lines"] for row in report["size_ms"]] == [360, 720, 1080, 2160]
    assert all(row["all"] > 0 for row in report["faces_ms"] + report["size_ms"])


def test_several_workers(tmp_path: Path) -> None:
    report = run_bench(
        "workers", tmp_path / "n.json", "--source", "demo:seconds=1", "--frames", "8", "--repeat", "1"
    )
    assert report["rounds"] == {"1": 1, "2": 1}
    assert [row["workers"] for row in report["workers"]] == [1, 2]
    assert all(row["frames/s"] > 0 for row in report["workers"])


def test_labels_of_the_demo_scene_are_counted_against_its_truth(tmp_path: Path) -> None:
    from bench.labels import count_labels, truth_of
    from facestream_producer.demo import parse_demo

    truth = truth_of("demo:")
    assert truth is not None
    told = parse_demo("demo:").truth(2)
    faces = [
        {"box": [x / 2, y / 2, w / 2, h / 2], "attributes": {"gender": {"label": gender, "score": 1.0}}}
        for (x, y, w, h), gender in told
    ]
    faces[0]["attributes"] = {"gender": {"label": "unknown", "score": 0.5}}
    faces[1]["attributes"] = {
        "gender": {"label": {"female": "male", "male": "female"}[told[1][1]], "score": 1.0}
    }
    faces.append({"box": [0.0, 0.0, 4.0, 4.0], "attributes": {"gender": {"label": "male", "score": 1.0}}})
    result: Any = {"width": 640, "source_width": 1280, "seq": 2, "faces": faces}
    labels = count_labels([result], truth)
    assert (labels.frames, labels.faces, labels.right, labels.unknown, labels.strays) == (1, 5, 2, 1, 1)
    assert [figure.value for figure in labels.figures("demo:")] == [5, 50, 20]


def test_memory_of_a_lossless_run(tmp_path: Path) -> None:
    report = run_bench(
        "memory", tmp_path / "m.json", "--source", "demo:seconds=2", "--frames", "40", "--max-side", "320",
        "--depth", "4",
    )  # fmt: skip
    assert report["published"] == report["results"] == 40
    assert report["closes"] is True
    assert report["samples"] > 0
    assert report["worker_gender_mb"] > 20
    assert report["worker_gender_age_mb"] > report["frames_peak_mb"]
    assert report["used_peak_mb"] >= report["frames_peak_mb"] >= report["own_mb"] > 0.5
    tenths = [row["results until"] for row in report["over_time_mb"]]
    assert tenths == sorted(tenths)
    assert tenths[-1] == 40


def test_startup(tmp_path: Path) -> None:
    report = run_bench("startup", tmp_path / "s.json", "--source", "demo:seconds=1", "--repeat", "1")
    assert report["starts"] == report["first_results"] == 1
    assert report["slowest_s"] == report["first_result_s"] > report["frame_s"] > 0
    assert all(row["seconds"] > 0 for row in report["parts_s"])


def test_bus(tmp_path: Path) -> None:
    report = run_bench(
        "bus", tmp_path / "b.json", "--sizes", "5", "20", "--batches", "1", "4", "--frames", "40",
        "--repeat", "2",
    )  # fmt: skip
    assert report["published"] == report["ended"] == 2 * 2 * 2 * 40
    assert [(row["KB"], row["batch"]) for row in report["costs_us"]] == [(5, 1), (5, 4), (20, 1), (20, 4)]
    assert all(row["server cpu"] > 0 for row in report["costs_us"])


def test_reading_results(tmp_path: Path) -> None:
    report = run_bench("results", tmp_path / "r.json", "--results", "50", "--repeat", "2")
    assert report["read"] == 50 * 2 * 3
    assert len(report["ratios"]) == 2
    assert {row["kind"] for row in report["reading"]} >= {"bare loop", "ResultReader"}
    assert report["result_bytes"] > 1000


def test_codec(tmp_path: Path) -> None:
    report = run_bench(
        "codec", tmp_path / "k.json", "--source", "demo:seconds=1", "--sides", "320", "--frames", "8",
        "--repeat", "1",
    )  # fmt: skip
    sizes = {row["codec"]: row["KB"] for row in report["cpu_ms"]}
    assert list(sizes) == ["jpeg, 320 px", "i420, 320 px", "bgr, 320 px"]
    assert sizes["bgr, 320 px"] == 2 * sizes["i420, 320 px"] == 320 * 180 * 3 / 1000
    assert all(row["all"] > row["broker"] > 0 for row in report["cpu_ms"])


def test_capture(tmp_path: Path) -> None:
    report = run_bench(
        "capture", tmp_path / "c.json", "--source", "demo:seconds=1,fps=30", "--max-side", "320",
        "--repeat", "1",
    )  # fmt: skip
    assert [row["way"] for row in report["cpu_ms"]][-1] == "capture, 320 px"
    assert all(cost > 0 for row in report["cpu_ms"] for name, cost in row.items() if name != "way")
    assert len(report["goals"]) == 2 * (len(report["cpu_ms"]) - 1)


def test_cameras(tmp_path: Path) -> None:
    report = run_bench(
        "cameras", tmp_path / "c.json", "--cameras", "2", "--processes", "2", "--warm", "0",
        "--seconds", "2", "--source", "demo:seconds=1,fps=30",
    )  # fmt: skip
    [row] = report["crowds"]
    assert row["cameras"] == len(report["rates"]["2"]) == 2
    assert 0 < row["slowest /s"] <= row["fastest /s"] < 8
    assert row["producer, cores"] > 0


def test_attached(tmp_path: Path) -> None:
    report = run_bench(
        "attached", tmp_path / "a.json", "--reconnects", "20", "--returns", "1", "--takeovers", "1",
        "--taken", "2", "--cameras", "2", "--seconds", "2",
    )  # fmt: skip
    assert report["reconnects"] == 20
    assert (report["threads"], report["files"], report["one_more_epochs"]) == (0, 0, 0)
    assert report["resident_after_mb"] > 10
    assert 0 < report["back_s"] == report["back_slowest_s"]
    assert 0 < report["takeover_s"] == report["takeover_slowest_s"]


def test_sinks(tmp_path: Path) -> None:
    report = run_bench("sinks", tmp_path / "s.json", "--results", "700", "--repeat", "1")
    assert {row["sink"] for row in report["sinks"]} >= {"jsonl", "webhook"}
    # The system counts processor time in hundredths of a second: so few results may take none.
    assert all(row["results/s"] > 0 and row["processor us a result"] >= 0 for row in report["sinks"])


def test_idle(tmp_path: Path) -> None:
    report = run_bench("idle", tmp_path / "i.json", "--cameras", "5", "--seconds", "0.5", "--arrivals", "3")
    assert report["worker_percent"] >= 0
    assert 0 < report["arrival_p50_ms"] <= report["arrival_max_ms"]


def test_adoption(tmp_path: Path) -> None:
    report = run_bench("adoption", tmp_path / "a.json", "--down", "0.1", "--deaths", "2")
    assert report["deaths_seen"] >= 1
    assert report["adopted_max_s"] > 2  # before that nobody is dead


def test_scaling(tmp_path: Path) -> None:
    report = run_bench(
        "scaling",
        tmp_path / "s.json",
        "--masters",
        "1",
        "3",
        "--cameras",
        "9",
        "--sizes",
        "5",
        "--rounds",
        "1",
    )
    one, three = report["costs_us"]
    assert one["all masters"] == one["the busiest"] > 0
    assert 0 < three["the busiest"] < three["all masters"]


def test_broker_in_a_crowd(tmp_path: Path) -> None:
    report = run_bench(
        "broker", tmp_path / "c.json", "--workers", "1", "3", "--cameras", "1", "5", "--sizes", "5",
        "--frames", "40",
    )  # fmt: skip
    assert report["published"] == report["results"] == 2 * 2 * 40
    assert report["ledgers_close"] is True
    assert [(row["workers"], row["cameras"]) for row in report["costs_us"]] == [
        (1, 1),
        (1, 5),
        (3, 1),
        (3, 5),
    ]


def test_tracks(tmp_path: Path) -> None:
    report = run_bench(
        "tracks", tmp_path / "t.json", "--clips", "demo:seconds=2", "--seconds", "1", "--rate", "200",
        "--scenes", "1",
    )  # fmt: skip
    assert report["exact"] == report["sparse_exact"] == 1
    assert report["clips"] == [
        {
            "clip": "demo:seconds=2", "people": 4, "tracks": 4, "gender right": 4,
            "tracks of 1/6": 4, "gender right of 1/6": 4, "frames": 60,
        }
    ]  # fmt: skip
    assert report["results"] >= 150
    assert report["cpu_us"] > 0
    assert report["track_events"] > 0
    assert all(row["confused"] < row["people"] for row in report["crowds"])


def test_tables_are_written_between_their_markers(tmp_path: Path) -> None:
    from bench.__main__ import write_into
    from facestream.errors import UsageError
    from facestream_bench.report import Figure, Grid, Report, at_least

    report = Report("worker", "A title", "python -m bench.worker", {})
    report.figures = [Figure("ratio", "ratio", 0.5, goal=at_least(0.9))]
    report.grids = [Grid("stages", "Stages", ("stage", "ms"), [("decode", 1.25), ("detect", None)])]
    document = tmp_path / "performance.md"
    places = "".join(
        f"<!-- bench:{name} -->\nold\n<!-- end -->\nkept {name}\n" for name in ("machine", "worker")
    )
    document.write_text(f"before\n{places}", encoding="utf-8")
    write_into(document, [report])
    once = document.read_text(encoding="utf-8")
    write_into(document, [report])
    assert document.read_text(encoding="utf-8") == once
    assert "| ratio | 0.5 | >= 0.9 | NOT MET |" in once
    assert "| decode | 1.25 |" in once
    assert "old" not in once
    assert once.startswith("before\n")
    assert "kept machine" in once
    assert once.endswith("kept worker\n")
    report.name = "nowhere"
    with pytest.raises(UsageError, match="no place for nowhere"):
        write_into(document, [report])


def test_an_absent_source_is_one_line() -> None:
    process = _python("-m", "bench.worker", "--source", "nowhere.mp4")
    assert process.returncode != 0
    assert len(process.stderr.splitlines()) == 1
    assert "nowhere.mp4" in process.stderr
