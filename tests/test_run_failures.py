"""`facestream run` when something is wrong: one clear line each, the rest goes on, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledgers
from facestream.commands.app import build_app, run
from support.bus import is_gone, running_server, wait_until
from support.clips import make_clip, make_sound
from support.portraits import weights
from support.processes import Command, Ended, assert_no_traceback, facestream, started

# Long enough that a run is in the middle of it whenever we look; nobody waits for its end.
ENDLESS = "demo:seconds=600"
RTSP = (
    "a camera on the network (rtsp://) is attached by name: facestream cameras add NAME --url-file -, "
    "then facestream producer without a source"
)


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    weights()


def failed_at_once(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which the command ends before it has started anything."""
    assert run(build_app(), [str(argument) for argument in arguments]) in {1, 2, 75}
    shown = capfd.readouterr()
    assert shown.out == ""
    [line] = shown.err.splitlines()
    assert line.startswith("facestream: ")
    return line.removeprefix("facestream: ")


# Sources


def broken_clip(path: Path) -> Path:
    """Its index is whole and promises more frames than are there."""
    whole = make_clip(path.with_name("whole.mp4"), frames=24, noise=True, muxer={"movflags": "faststart"})
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    return path


def test_what_is_wrong_with_one_source_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    make_sound(tmp_path / "sound.m4a")
    broken_clip(tmp_path / "broken.mp4")
    make_clip(tmp_path / "good.mp4", frames=6)
    names = ["absent.mp4", "empty.mp4", "text.mp4", "sound.m4a", "broken.mp4", "no*.mp4", "good.mp4"]
    sources = [*names, "rtsp://me:hunter2@camera/1"]
    ended = facestream("run", *sources, "--out", "r.jsonl", "--json", "--workers", 1, cwd=tmp_path)

    assert_no_traceback(ended)
    assert ended.status == 1
    assert "hunter2" not in ended.out + ended.err
    said = sorted(line.removeprefix("facestream: ") for line in ended.said)
    assert RTSP in said
    assert [line.split(" (")[0] for line in said if not line.startswith("broken.mp4")] == [
        "a camera on the network",
        "absent.mp4 does not exist",
        "empty.mp4 is empty",
        "nothing matches no*.mp4",
        "sound.m4a has no video stream",
        "text.mp4 is not a video this FFmpeg can read",
    ]
    [break_off] = [line for line in said if line.startswith("broken.mp4")]
    assert "breaks off after" in break_off

    summary = ended.summary
    results = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    counts = Counter(result["camera"] for result in results)
    assert counts["good"] == 6
    assert 2 <= counts["broken"] < 24
    assert f"after {counts['broken']} frames" in break_off
    assert summary["dropped"] == {"source_corrupt": summary["captured"] - summary["results"]}
    assert summary["dropped"]["source_corrupt"] >= 1
    assert summary["every_frame_has_one_end"] is True
    assert set(summary["failed"]) == {*names, "rtsp://***@camera/1"} - {"good.mp4"}


def test_nothing_but_bad_sources_is_a_failure_without_a_table(tmp_path: Path) -> None:
    ended = facestream("run", "no*.mp4", "--workers", 1, cwd=tmp_path)
    assert_no_traceback(ended)
    assert (ended.status, ended.out, ended.said) == (1, "", ["facestream: nothing matches no*.mp4"])


# Options and settings


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--attributes", "a b"],
            "--attributes 'a b': none, or names separated by commas such as gender,age",
        ),
        (["--max-side", "3"], "--max-side: input should be greater than or equal to 64"),
        (["--out", "/proc/new/r.jsonl"], "cannot write /proc/new/r.jsonl (No such file or directory)"),
        (["--out", "{clip}"], "--out {clip} would overwrite the source {clip}: choose another name"),
        (
            ["--annotate", "{clip}"],
            "--annotate {clip} would overwrite the source {clip}: choose another name",
        ),
        (["--annotate", "x.avi"], "--annotate x.avi: the video is written as MP4, so end the name in .mp4"),
        (
            ["/dev/video0", "--annotate", "x.mp4"],
            "--annotate reads the source again, which /dev/video0 cannot",
        ),
        (["--annotate", "/proc/new/x.mp4"], "--annotate /proc/new/x.mp4 cannot be written (No such file"),
        (["--annotate", "{folder}.mp4"], "--annotate {folder}.mp4 cannot be written (it is a folder)"),
        (["--workers", "0"], "Invalid value for '--workers'"),
        (["--workers", "many"], "Invalid value for '--workers'"),
        (["--metrics-port", "65536"], "Invalid value for '--metrics-port'"),
        (["--metrics-port", "65535"], "--metrics-port 65537: there is no such port; choose another port"),
        (["--colour", "red"], "No such option: --colour"),
        (["--redis", "host"], "'host' is no broker address"),
    ],
)
def test_a_bad_option_is_one_line_that_names_it(
    options: list[str], line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    before = clip.read_bytes()
    folder = tmp_path / "folder"
    folder.with_suffix(".mp4").mkdir()
    options = [option.format(clip=clip, folder=folder) for option in options]
    said = failed_at_once(capfd, "run", clip, "--workers", 1, *options)
    assert said.startswith(line.format(clip=clip, folder=folder)), said
    assert clip.read_bytes() == before


def test_what_only_workers_know_is_wrong_is_said_once() -> None:
    ended = facestream("run", ENDLESS, "--workers", 2, "--attributes", "hair")
    assert_refused_in_one_line(ended, "no model has the role 'hair': there are")


def test_missing_models_are_one_line_that_names_the_command(tmp_path: Path) -> None:
    ended = facestream("run", ENDLESS, "--workers", 2, environment={"FACESTREAM_WEIGHTS": str(tmp_path)})
    assert_refused_in_one_line(ended, "the weights of ")
    assert "facestream models pull" in ended.err
    assert not list(tmp_path.iterdir())


def assert_refused_in_one_line(ended: Ended, beginning: str) -> None:
    assert_no_traceback(ended)
    assert ended.status == 1
    assert ended.out == ""
    [line] = ended.err.splitlines()
    assert line.startswith(f"facestream: {beginning}")


# Brokers


def test_a_broker_that_is_not_there_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    said = failed_at_once(capfd, "run", "demo:", "--redis", "redis://me:hunter2@127.0.0.1:1/0")
    assert said.startswith("no broker answers at redis://***@127.0.0.1:1/0")


@pytest.mark.parametrize("command", [["run", "demo:"], ["producer", "demo:"], ["worker"]])
def test_a_wrong_password_is_one_line_without_the_password(
    command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server("--requirepass", "right-one", credentials=":hunter2@") as url:
        said = failed_at_once(capfd, *command, "--redis", url)
    assert "refused these credentials" in said
    assert "check the user and password in --redis or FACESTREAM_REDIS" in said
    assert "hunter2" not in said
    assert "right-one" not in said


def test_a_password_reaches_the_children_and_is_never_shown(tmp_path: Path) -> None:
    with (
        running_server("--requirepass", "hunter2", credentials=":hunter2@") as url,
        endless_run(tmp_path, environment={"FACESTREAM_REDIS": url}) as (running, family),
    ):
        assert len(family) == 2
        assert not any("hunter2" in word for child in family for word in psutil.Process(child).cmdline())
        running.signal(signal.SIGINT)
        ended = running.end()
    assert ended.status == 130
    assert_no_traceback(ended)
    assert "hunter2" not in ended.out + ended.err


def test_a_broker_that_evicts_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with running_server("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru") as url:
        said = failed_at_once(capfd, "run", "demo:", "--redis", url)
    assert "may throw frames away (maxmemory-policy allkeys-lru)" in said
    assert "set `maxmemory-policy noeviction`" in said


def test_another_number_of_partitions_is_refused(
    connection: Connection,
    broker: EmbeddedBroker,
    prefix: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert connection.keys.partitions == 1
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)
    monkeypatch.setenv("FACESTREAM_PARTITIONS", "3")
    said = failed_at_once(capfd, "run", "demo:", "--redis", broker.url)
    assert "has 1 partitions, not 3" in said


# Outputs


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_ends_the_writing_and_not_the_run(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=8)
    video = tmp_path / "v.mp4"
    ended = facestream("run", clip, "--out", "/dev/full", "--annotate", video, "--json", "--workers", 1)
    assert_no_traceback(ended)
    assert ended.status == 1
    [line] = ended.said
    assert line.startswith("facestream: cannot write /dev/full any more (No space left on device): 0 results")
    summary = ended.summary
    assert (summary["results"], summary["every_frame_has_one_end"]) == (8, True)
    assert summary["results_error"] == "No space left on device"
    with av.open(str(video)) as written:  # drawn from results that were kept apart
        assert written.streams.video[0].frames == 8


def test_a_file_that_reached_its_limit_holds_whole_lines(tmp_path: Path) -> None:
    """A quota or a disk that fills up in the middle of a line."""
    clip, out = make_clip(tmp_path / "clip.mp4", frames=12), tmp_path / "r.jsonl"

    def limit_file_size() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    with EmbeddedBroker() as broker:
        options = ["--out", out, "--json", "--workers", 1, "--redis", broker.url]
        ended = facestream("run", clip, *options, preexec_fn=limit_file_size)
    assert_no_traceback(ended)
    assert ended.status == 1
    lines = out.read_text().splitlines()
    assert 0 < len(lines) < 12
    assert [json.loads(line)["seq"] for line in lines] == list(range(len(lines)))
    assert f"(File too large): {len(lines)} results are there" in ended.said[0]
    assert ended.summary["results"] == 12


def test_a_reader_that_leaves_ends_the_run_quietly() -> None:
    reading, writing = os.pipe()
    with started("run", ENDLESS, "--out", "-", "--workers", 1, stdout=writing) as running:
        os.close(writing)
        with os.fdopen(reading, "rb") as reader:
            assert json.loads(reader.readline())["seq"] == 0
        ended = running.end()
    assert_no_traceback(ended)
    assert ended.status == 0
    assert ended.said == []


# Ends that nobody planned


@contextmanager
def endless_run(tmp_path: Path, *options: object, **more: Any) -> Iterator[tuple[Command, list[int]]]:
    """A run in the middle of its work, and its family: worker, producer, broker and the broker's guard."""
    results = tmp_path / "r.jsonl"
    with started("run", ENDLESS, "--workers", 1, "--json", "--out", results, *options, **more) as running:
        wait_until(lambda: results.exists() and results.stat().st_size > 0, "frames are analysed")
        yield running, running.children()


def assert_nothing_is_left(running: Command, family: list[int]) -> None:
    wait_until(lambda: all(map(is_gone, family)), "all children are gone")
    wait_until(lambda: not list(running.temporary.iterdir()), "the temporary folders are gone")


def test_ctrl_c_ends_cleanly_with_the_summary(tmp_path: Path) -> None:
    with endless_run(tmp_path, "--annotate", tmp_path / "v.mp4") as (running, family):
        assert len(family) == 4
        running.signal(signal.SIGINT)
        ended = running.end()
        assert_nothing_is_left(running, family)
    assert_no_traceback(ended)
    assert ended.status == 130
    assert ended.said == []
    summary = ended.summary
    assert (summary["interrupted"], summary["every_frame_has_one_end"]) == (True, True)
    assert summary["results"] > 0
    assert set(summary["dropped"]) <= {"shutdown"}
    seqs = [json.loads(line)["seq"] for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert seqs == list(range(summary["published"]))
    assert not (tmp_path / "v.mp4").exists()


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGKILL,)])
def test_a_run_that_is_killed_leaves_nobody_behind(signals: tuple[int, ...], tmp_path: Path) -> None:
    with endless_run(tmp_path, "--annotate", tmp_path / "v.mp4") as (running, family):
        [worker] = running.children("worker")
        psutil.Process(worker).suspend()  # so that frames stay on their way until the second Ctrl-C
        running.signal(signals[0])
        if len(signals) > 1:
            wait_until(lambda: "stopping" in running.err, "the first Ctrl-C was heard")
            running.signal(signals[1])
        ended = running.end()
        assert ended.status == -signals[-1]
        psutil.Process(worker).resume()
        assert_nothing_is_left(running, family)
    assert_no_traceback(ended)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_killed_workers_and_producers_are_started_again_and_no_frame_is_lost(
    broker: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """Whoever dies in the middle, every frame has one result, in order."""
    clip, out = make_clip(tmp_path / "clip.mp4", frames=200), tmp_path / "r.jsonl"
    environment = {"FACESTREAM_PREFIX": prefix, "FACESTREAM_REDIS": broker.url}
    connection = Connection(broker.url, prefix=prefix)

    def published() -> int:
        return sum(ledger.published for ledger in read_ledgers(connection))

    with started("run", clip, "--workers", 2, "--json", "--out", out, environment=environment) as running:
        wait_until(lambda: published() > 20, "frames are published")
        [killed, asked] = running.children("worker")
        os.kill(running.children("producer")[0], signal.SIGKILL)
        os.kill(killed, signal.SIGKILL)
        # By somebody who does not know that it is ours: it is replaced as well.
        os.kill(asked, signal.SIGTERM)
        ended = running.end()
    connection.close()
    assert_no_traceback(ended)
    assert ended.status == 0, ended.err
    assert "producer died (SIGKILL); restarting in 0.5 s" in ended.err
    assert len(re.findall(r"worker-. died \((SIGKILL|status 0)\); restarting in 0.5 s", ended.err)) == 2
    summary = ended.summary
    assert summary["restarts"] == 3
    assert (summary["captured"], summary["results"], summary["dropped"]) == (200, 200, {})
    assert summary["every_frame_has_one_end"] is True
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [result["seq"] for result in results] == list(range(200))
    assert len({result["epoch"] for result in results}) == 1


def test_a_broker_that_dies_is_one_line(tmp_path: Path) -> None:
    with endless_run(tmp_path) as (running, family):
        [server] = [number for number in family if "valkey-server" in psutil.Process(number).name()]
        os.kill(server, signal.SIGKILL)
        ended = running.end()
        assert_nothing_is_left(running, family)
    assert_no_traceback(ended)
    assert ended.status == 75
    assert any("no broker answers at unix://" in line for line in ended.said)


def test_a_producer_stopped_from_outside_is_no_success(tmp_path: Path) -> None:
    with endless_run(tmp_path) as (running, _family):
        os.kill(running.children("producer")[0], signal.SIGTERM)
        ended = running.end()
    assert_no_traceback(ended)
    assert ended.status == 1
    assert ended.summary["dropped"] == {"shutdown": 1}
    assert ended.summary["every_frame_has_one_end"] is True


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = facestream("run", ENDLESS, "--workers", 1, "--metrics-port", port - 1)
    assert_no_traceback(ended)
    assert ended.status == 1
    assert ended.said == [f"facestream: --metrics-port {port}: Address already in use; choose another port"]
