"""What processes say: words as ever, or one JSON object a line, with what it is about."""

from __future__ import annotations

import io
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facestream import log
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.registry import Registry
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.log import Log, Seldom
from support.bus import begin, publish, wait_until
from support.portraits import weights
from support.processes import Ended, facestream, started


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    return {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix, "FACESTREAM_LOG": "json"}


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line, each of them an object of its own."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_worker_says_which_frame_it_refused_and_why(
    connection: Connection, environment: dict[str, str]
) -> None:
    weights()
    epoch = begin(connection, "door")
    publish(epoch, 1, b"no picture")
    with started("worker", environment=environment) as running:
        wait_until(lambda: '"refused"' in running.err, "it refuses")
        running.signal(signal.SIGTERM)
        joined, refused = lines_of(running.end().err)
    assert (joined["event"], joined["level"], joined["process"]) == ("joined", "info", "worker")
    assert joined["text"].startswith("ready for frames")
    assert joined["name"] == refused["name"]
    about = {key: refused[key] for key in ("event", "level", "camera", "epoch", "seq", "reason", "count")}
    assert about == {
        "event": "refused",
        "level": "warning",
        "camera": "door",
        "epoch": epoch.epoch,
        "seq": 0,
        "reason": "decode_error",
        "count": 1,
    }
    assert refused["text"] == "refused a frame of door: decode_error"
    said_at = datetime.fromisoformat(refused["time"])
    assert abs(datetime.now(UTC) - said_at) < timedelta(minutes=1)


def test_a_producer_says_each_state_of_a_camera_once(
    broker: EmbeddedBroker, prefix: str, environment: dict[str, str]
) -> None:
    with Registry(broker.url, prefix=prefix) as registry:
        registry.add("door", CameraUrl.parse("demo:"), CameraSettings(fps=5))
        with started("producer", "--processes", 1, environment=environment) as running:
            wait_until(lambda: '"live"' in running.err, "it is live")
            registry.pause("door")
            wait_until(lambda: '"paused"' in running.err, "it is paused")
            running.signal(signal.SIGTERM)
            said = [each for each in lines_of(running.end().err) if each["event"] == "state"]
    assert [(each["event"], each["camera"], each["state"]) for each in said] == [
        ("state", "door", "live"),
        ("state", "door", "paused"),
    ]
    assert said[0]["epoch"] > 0
    assert said[0]["seq"] >= 0
    assert said[0]["process"] == "producer"


def test_children_and_who_starts_them_say_json_alike(environment: dict[str, str]) -> None:
    """The words with which a child ends are still heard, and said as JSON by whoever started it."""
    environment["FACESTREAM_WEIGHTS"] = "/nonexistent"
    with started("worker", "--workers", 2, environment=environment) as running:
        ended: Ended = running.end()
    assert ended.status == 1
    said = lines_of(ended.err)
    assert [each["event"] for each in said] == ["process"]
    assert said[0]["text"].startswith("the weights of ")


def test_the_last_line_of_a_command_is_json_too(environment: dict[str, str]) -> None:
    ended = facestream("ps", "--every", 5, environment=environment)
    [last] = lines_of(ended.err)
    assert (ended.status, last["event"], last["level"]) == (2, "end", "error")
    assert last["text"] == "--every goes with --prometheus-sd: say which file to write"
    [words] = facestream("ps", "--every", 5, environment={"FACESTREAM_LOG": "console"}).err.splitlines()
    assert words == f"facestream: {last['text']}"
    refused = facestream("ps", environment=environment | {"FACESTREAM_LOG": "xml"})
    assert refused.said == ["facestream: FACESTREAM_LOG: input should be 'console' or 'json'"]


def test_an_exporter_says_what_becomes_of_the_broker_as_json(environment: dict[str, str]) -> None:
    with started("exporter", "--port", 0, environment=environment) as running:
        wait_until(lambda: "metrics at" in running.err, "it serves")
        [serving] = lines_of(running.err)
    assert (serving["process"], serving["event"]) == ("exporter", "serving")


def test_one_line_stays_one_line() -> None:
    stream = io.StringIO()
    say = Log("worker", "w", form="json", lead="worker w: ", stream=stream)
    say("facestream: two\nlines \x1b[1m", event="x", camera='a"b', seq=None)
    [line] = lines_of(stream.getvalue())
    assert line["text"] == "two\nlines \x1b[1m"
    assert line["camera"] == 'a"b'
    assert "seq" not in line
    assert "\x1b" not in stream.getvalue()


def test_words_are_as_they_were() -> None:
    stream = io.StringIO()
    say = Log("worker", "w", lead="worker w: ", stream=stream)
    say("ready", event="joined", camera="c")
    say.relay("worker v: ready")
    assert stream.getvalue() == "worker w: ready\nworker v: ready\n"


def test_what_goes_on_and_on_is_said_seldom_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seldom = Seldom()
    assert [seldom.due() for _ in range(4)] == [1, 0, 0, 0]
    monkeypatch.setattr(log, "QUIET_SECONDS", 0.0)
    assert seldom.due() == 4
