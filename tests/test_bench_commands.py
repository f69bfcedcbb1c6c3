"""`facestream bench`: each on a few frames; figures of time are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream_bench.cameras import Step, _table
from facestream_bench.live import quantile
from support.portraits import weights


@pytest.fixture(scope="module", autouse=True)
def _weights() -> None:
    weights()


def bench(*arguments: str) -> dict[str, Any]:
    process = _facestream("bench", *arguments, "--json")
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    report: dict[str, Any] = json.loads(process.stdout)
    assert report["command"] == " ".join(["facestream", "bench", *arguments, "--json"])
    assert {"processor", "features", "cores"} <= report["machine"].keys()
    return report


def _facestream(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "facestream", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_worker() -> None:
    report = bench(
        *("worker", "--source", "demo:seconds=1", "--frames", "8", "--repeat", "2"),
        *("--engine", "onnxruntime"),
    )

    assert report["ratio"] == pytest.approx(sum(report["ratios"]) / 2)
    assert report["worker_fps"] > 0
    assert report["loop_fps"] > 0
    assert report["results"] == 8
    assert report["dropped"] == 0
    stages = {row["stage"] for row in report["stages_ms"]}
    assert stages >= {"decode", "detect", "align", "classify", "broker"}
    assert report["settings"]["engine"] == "onnxruntime"


def test_broker() -> None:
    report = bench("broker", "--size", "1", "--size", "5", "--frames", "40", "--rounds", "1")

    assert report["published"] == report["ended"] == 80
    assert [row["KB"] for row in report["costs_us"]] == [1, 5]
    for costs, carries in zip(report["costs_us"], report["carries"], strict=True):
        assert costs["server cpu"] == pytest.approx(costs["… publish"] + costs["… take, commit"], rel=0.2)
        assert carries["whole core, frames/s"] == pytest.approx(1e6 / costs["server cpu"])
    assert report["cpu_us"] == pytest.approx(report["server_cpu_us"] + report["client_cpu_us"])


def test_a_broker_of_ones_own_is_left_as_it_was() -> None:
    with EmbeddedBroker() as broker:
        report = bench("broker", "--size", "1", "--frames", "32", "--rounds", "1", "--redis", broker.url)
        assert report["ended"] == 32
        observer = Connection(broker.url, prefix="looker")
        assert {key.decode() for key in observer.read("KEYS", "*")} == {"looker:meta"}
        observer.close()


def test_a_broker_that_is_not_there_is_one_line_without_its_password() -> None:
    process = _facestream("bench", "broker", "--redis", "redis://:hunter2@127.0.0.1:1/0")
    assert process.returncode == 75
    assert process.stdout == ""
    [line] = process.stderr.splitlines()
    assert line.startswith("facestream: no broker answers at redis://***@127.0.0.1:1/0")


def test_latency() -> None:
    report = bench("latency", "--source", "demo:seconds=1", "--seconds", "1", "--fps", "8")

    assert 0 < report["p50_ms"] <= report["p99_ms"] <= report["max_ms"]
    assert abs(report["results"] - report["published"]) <= 2
    assert report["results"] >= 4


def test_cameras() -> None:
    """One frame in ten seconds of each camera: a machine however busy does that, so the ramp goes on."""
    report = bench(
        *("cameras", "--source", "demo:seconds=1", "--fps", "1", "--seconds", "2", "--first", "1"),
        *("--most", "2"),
    )

    numbers = [row["cameras"] for row in report["steps"]]
    assert numbers[0] == 1
    assert all(row["p50 ms"] <= row["p95 ms"] for row in report["steps"] if row["results/s"])
    assert report["cameras"] in (0, *numbers)


def test_a_number_of_cameras_is_sustained_when_results_are_fresh_and_nothing_is_dropped() -> None:
    good = Step(8, 40.0, 30.0, 500.0, 0.01, 0.5, 0.1, 0)
    stale = Step(8, 40.0, 30.0, 500.1, 0.0, 0.5, 0.1, 0)
    dropping = Step(8, 40.0, 30.0, 40.0, 0.011, 0.5, 0.1, 0)

    assert [step.holds for step in (good, stale, dropping)] == [True, False, False]
    assert [row[-1] for row in _table([good, stale, dropping]).rows] == ["yes", "no", "no"]


def test_quantiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.95)) == (51, 100, 7)
    assert quantile([], 0.5) != quantile([], 0.5)


@pytest.mark.parametrize("name", ["worker", "latency", "cameras"])
def test_a_source_that_is_not_there_is_one_line(name: str) -> None:
    process = _facestream("bench", name, "--source", "nowhere.mp4")

    assert process.returncode != 0
    assert len(process.stderr.splitlines()) == 1
    assert "nowhere.mp4" in process.stderr
