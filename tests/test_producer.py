"""`facestream producer` as a process, and its session: every source to its end, in its own epoch."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.contract import FrameHeader
from facestream.errors import CameraNameError, UsageError
from facestream_producer import session as session_module
from facestream_producer.capture import Shape
from facestream_producer.hooks import Hooks
from facestream_producer.session import LOSSLESS_DEPTH, Session, name_cameras
from support.bus import assert_closes, expire_lease, result_of, take, wait_until, worker
from support.clips import make_clip
from support.processes import assert_no_traceback, facestream, metrics_at, port_of, started

FRAMES = 40
SHAPE = Shape(max_side=1280, quality=85, max_age_ms=1000, attributes=None)


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    return {"FACESTREAM_PREFIX": prefix, "FACESTREAM_REDIS": broker.url}


def session_on(connection: Connection, stop: threading.Event | None = None, **how: Any) -> Session:
    """With room for every frame, so that nobody has to take them."""
    return Session(connection, SHAPE, Hooks(), stop or threading.Event(), depth=1000, **how)


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_killed_producer_goes_on_where_it_was(
    connection: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    """It waits while nobody takes its frames; its metrics say what the ledger says."""
    clip = make_clip(tmp_path / "clip.mp4", frames=FRAMES)
    with started("producer", clip, "--metrics-port", 0, environment=environment) as running:
        wait_until(
            lambda: read_ledger(connection, "clip").published == LOSSLESS_DEPTH, "the depth is reached"
        )
        check_metrics(port_of(running))
        os.kill(running.process.pid, signal.SIGKILL)
        [began] = events_of(running.end().out)
    assert (began["event"], began["first_seq"], began["length"]) == ("began", 0, FRAMES)

    expire_lease(connection, "clip")
    taker, seqs = worker(connection), []
    with started("producer", clip, "--resume", environment=environment) as running:
        while len(seqs) < FRAMES:
            assert running.process.poll() in {None, 0}
            for delivery in take(taker, 8):
                seqs.append(FrameHeader.unpack(delivery.header).seq)
                taker.commit([result_of(delivery)])
        ended = running.end()
    assert_no_traceback(ended)
    assert (ended.status, ended.err) == (0, "")
    assert seqs == list(range(FRAMES))
    again, end = events_of(ended.out)
    assert (again["epoch"], again["first_seq"]) == (began["epoch"], LOSSLESS_DEPTH)
    assert (end["event"], end["captured"], end["published"], end["dropped"]) == ("ended", FRAMES, FRAMES, {})
    assert assert_closes(connection, "clip").results == FRAMES


def check_metrics(port: int) -> None:
    def published() -> float:
        return metrics_at(port)["facestream_producer_published_total"]

    wait_until(lambda: published() == LOSSLESS_DEPTH, "it is counted")
    metrics = metrics_at(port)
    assert metrics["facestream_producer_captured_total"] == LOSSLESS_DEPTH
    assert metrics["facestream_producer_published_bytes_total"] > 1000 * LOSSLESS_DEPTH
    assert metrics["facestream_producer_rewound_total"] == 0


def test_a_stop_is_clean_and_counted(
    connection: Connection,
    environment: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C while it waits for room; meanwhile no second one may send the same camera."""
    monkeypatch.setattr(session_module, "LEASE_SECONDS", -1)  # this one does not wait for the other to die
    with started("producer", "demo:seconds=9", "--camera", "hall", environment=environment) as running:
        wait_until(lambda: read_ledger(connection, "hall").published == LOSSLESS_DEPTH, "it waits for room")
        assert session_on(connection).run(["demo:seconds=9"], ["hall"]) == 1
        running.signal(signal.SIGINT)
        ended = running.end()
    [said] = capfd.readouterr().err.splitlines()
    assert said.startswith("facestream: camera hall is being sent by another producer: wait for its end")
    assert_no_traceback(ended)
    assert (ended.status, ended.err) == (0, "")
    ledger = assert_closes(connection, "hall")
    assert ledger.published == LOSSLESS_DEPTH
    assert set(ledger.dropped_at_source) <= {"shutdown"}
    assert read_ledger(connection, "hall").state == "ended"


# The session


def test_sources_that_fail_harm_no_other(
    connection: Connection, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip, absent = make_clip(tmp_path / "clip.mp4", frames=4), tmp_path / "absent.mp4"
    session = session_on(connection)
    found, failed = session.expand(["no*.mp4", str(clip), "rtsp://me:hunter2@/", str(absent)])
    assert str(clip) in found
    assert failed >= 1
    failed += session.run(found, name_cameras(found, None))
    assert failed == 3
    shown = capfd.readouterr()
    assert len(shown.err.splitlines()) == 3
    assert all(line.startswith("facestream: ") for line in shown.err.splitlines())
    assert "hunter2" not in shown.out + shown.err
    events = events_of(shown.out)
    failures = {event["source"] for event in events if event["event"] == "failed"}
    assert failures >= {"no*.mp4", str(absent)}
    assert [event["published"] for event in events if event["event"] == "ended"] == [4]


def test_what_nobody_foresaw_is_one_line_and_harms_no_other(
    connection: Connection,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An injected fault: one source breaks in a way that no error of ours describes."""
    opened = session_module.open_source

    def open_or_break(text: str, *rest: Any) -> Any:
        if "bad" in text:
            raise RuntimeError("redis://me:hunter2@host fell over")
        return opened(text, *rest)

    monkeypatch.setattr(session_module, "open_source", open_or_break)
    good, bad = make_clip(tmp_path / "good.mp4", frames=3), tmp_path / "bad.mp4"
    assert session_on(connection).run([str(bad), str(good)], ["bad", "good"]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert line == "facestream: unexpected RuntimeError: redis://***@host fell over; please report it"
    assert read_ledger(connection, "good").published == 3


def test_sources_whose_turn_has_not_come_are_left_alone_when_asked_to_stop(
    connection: Connection, tmp_path: Path
) -> None:
    stop = threading.Event()
    stop.set()
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    assert session_on(connection, stop).run([str(clip)], ["cam"]) == 0
    assert read_ledger(connection, "cam").epoch == 0


def test_only_an_epoch_of_this_run_is_resumed(connection: Connection, tmp_path: Path) -> None:
    """A file that an earlier run has sent is sent anew, even by a producer that resumes."""
    clip = str(make_clip(tmp_path / "clip.mp4", frames=3))
    assert session_on(connection).run([clip], ["cam"]) == 0
    first = read_ledger(connection, "cam").epoch
    assert session_on(connection, resume=True, resume_after=first).run([clip], ["cam"]) == 0
    second = read_ledger(connection, "cam")
    assert second.epoch > first
    assert (second.published, second.captured) == (6, 6)
    assert session_on(connection, resume=True, resume_after=first).run([clip], ["cam"]) == 0
    assert read_ledger(connection, "cam").published == 6, "that one was whole already"
    assert_closes(connection, "cam")


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a/clip.mp4", "b/clip.mp4", "c/CLIP.mkv"], ["clip", "clip-2", "clip-3"]),
        (["photos/", "demo:seconds=5,seed=3", "demo:"], ["photos", "demo", "demo-2"]),
        (["Ärger in Köln.mp4", "…"], ["arger-in-koln", "camera"]),
    ],
)
def test_cameras_are_named_after_their_files_and_told_apart(sources: Sequence[str], names: list[str]) -> None:
    assert name_cameras(sources, None) == names


def test_a_wanted_name_is_for_one_source_and_valid() -> None:
    assert name_cameras(["clip.mp4"], "hall-1") == ["hall-1"]
    with pytest.raises(UsageError, match="--camera names one source, but there are 2"):
        name_cameras(["a.mp4", "b.mp4"], "hall")
    with pytest.raises(CameraNameError, match="is not a camera name"):
        name_cameras(["a.mp4"], "Hall 1")


def test_a_file_plays_as_a_camera_until_stopped(
    connection: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10, size=(64, 48))
    refused = facestream("producer", clip, "--loop", environment=environment)
    assert refused.status == 2
    assert "--loop and --fps go with --realtime" in refused.err

    arguments = ["producer", clip, "--realtime", "--loop", "--fps", "5"]
    with started(*arguments, environment=environment) as running:
        # More than the file has: it began again.
        wait_until(lambda: read_ledger(connection, "clip").published > 10, "it plays over and over")
        running.signal(signal.SIGTERM)
        assert running.end().status == 0
    ledger = read_ledger(connection, "clip")
    assert (ledger.state, ledger.closes) == ("ended", True)
    assert ledger.dropped_at_source["fps_limit"] > ledger.published
    assert ledger.dropped["trimmed_unread"] + ledger.in_flight == ledger.published
