"""Sinks as processes and as a loop: at least once, whatever is killed; what was missed is told."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.faults import GroupGone
from facestream.commands.app import build_app
from facestream.commands.app import run as run_command
from facestream.errors import SinkRefused, SinkUnavailable, UsageError
from facestream.results.reader import ResultReader
from facestream.vitals import Health
from facestream_sinks.hooks import Several
from facestream_sinks.intake import Intake
from facestream_sinks.loop import Patience, batches, run
from facestream_sinks.metrics import PrometheusHooks
from facestream_sinks.notices import Notices
from facestream_sinks.parking import Parking
from facestream_sinks.readiness import Readiness
from facestream_sinks.record import Record
from facestream_sinks.running import name_group, parse_start
from facestream_sinks.sink import Limits
from support.bus import wait_until
from support.kept_server import KeptServer
from support.mosquitto import PROGRAM, WITHOUT, Mosquitto, subscribed
from support.processes import Command, assert_no_traceback, metrics_at, port_of, started
from support.receiver import Receiver
from support.records import records
from support.results import Studio

SECRET = "0123456789abcdef0123456789abcdef"


# The loop


@dataclass
class ListSink:
    """Takes records into a list, as `judge` lets it."""

    judge: Callable[[Sequence[Record]], None] = lambda _: None
    limits: Limits = field(default_factory=lambda: Limits(10, 1 << 20))
    shown: str = "a list"
    taken: list[Record] = field(default_factory=list)

    def deliver(self, records: Sequence[Record]) -> None:
        self.judge(records)
        self.taken += records

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def seqs(self) -> list[int]:
        return [json.loads(record.body).get("seq", -1) for record in list(self.taken)]


@dataclass
class Running:
    """A loop at work in a thread. said: its log."""

    sink: ListSink
    registry: CollectorRegistry
    health: Health
    said: list[str]
    parked: Path
    end: Callable[[], None]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"facestream_sink_{name}", labels) or 0.0


@contextmanager
def looping(
    broker: EmbeddedBroker,
    prefix: str,
    sink: ListSink,
    folder: Path,
    *,
    cameras: Sequence[str] | None = None,
    parked_bytes: int = 1 << 20,
    grace_seconds: float = 0.0,
) -> Iterator[Running]:
    registry, health, said, stop = CollectorRegistry(), Health(), list[str](), threading.Event()
    hooks = Several(Notices(said.append), PrometheusHooks(registry), Readiness(health))
    reader = ResultReader(
        broker.url,
        group="sink",
        consumer="here",
        cameras=cameras,
        start="earliest",
        auto_acknowledge=False,
        prefix=prefix,
    )
    parking = Parking(folder / "parked.jsonl", parked_bytes)

    def work() -> None:
        with reader:
            run(Intake(reader, hooks), sink, parking, hooks, Patience(stop, grace_seconds))

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()

    try:
        yield Running(sink, registry, health, said, parking.path, end)
    finally:
        end()


def pending(connection: Connection, group: str = "sink") -> int:
    """What the group has had and not acknowledged; -1 where there is no group yet."""
    with suppress(GroupGone):
        about = connection.read("XPENDING", connection.keys.results(0), group)
        return int(about["pending"])
    return -1


@pytest.fixture
def studio(connection: Connection) -> Studio:
    return Studio(connection)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again after moments."""
    monkeypatch.setattr("facestream_sinks.loop.FIRST_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr("facestream_sinks.loop.MAX_BACKOFF_SECONDS", 0.01)


@pytest.mark.usefixtures("impatient")
def test_it_is_acknowledged_when_the_receiver_has_it_and_not_before(
    broker: EmbeddedBroker, prefix: str, connection: Connection, studio: Studio, tmp_path: Path
) -> None:
    open_door = threading.Event()

    def judge(_records: Sequence[Record]) -> None:
        if not open_door.is_set():
            raise SinkUnavailable("the door is shut")

    studio.shoot(count=25)
    with looping(broker, prefix, ListSink(judge), tmp_path) as running:
        wait_until(lambda: running.metric("retried_total") >= 3, "it was tried several times")
        assert pending(connection) > 0
        assert running.metric("sent_total") == 0
        assert running.metric("lag_seconds") > 0
        assert running.health.unready() != ""
        open_door.set()
        wait_until(lambda: running.sink.seqs == list(range(25)), "all in order")
        wait_until(lambda: pending(connection) == 0, "and acknowledged")
        wait_until(lambda: running.metric("lag_seconds") == 0, "nothing is on its way")
        assert running.health.unready() == ""
    assert running.said == ["the door is shut; trying again until it goes", "it takes records again"]


def test_what_it_had_in_hand_when_it_ended_comes_to_the_next(
    broker: EmbeddedBroker, prefix: str, studio: Studio, tmp_path: Path
) -> None:
    shut = threading.Event()

    def judge(_records: Sequence[Record]) -> None:
        shut.set()
        raise SinkUnavailable("never")

    studio.shoot(count=5)
    with looping(broker, prefix, ListSink(judge), tmp_path):
        assert shut.wait(30)
    with looping(broker, prefix, ListSink(), tmp_path) as running:
        wait_until(lambda: sorted(running.sink.seqs) == list(range(5)), "all of them")


@pytest.mark.usefixtures("impatient")
def test_the_batch_in_hand_is_finished_when_it_is_asked_to_stop(
    broker: EmbeddedBroker, prefix: str, connection: Connection, studio: Studio, tmp_path: Path
) -> None:
    tries, stopping = [0], threading.Event()

    def judge(_records: Sequence[Record]) -> None:
        tries[0] += 1
        if not stopping.is_set():
            raise SinkUnavailable("not yet")

    studio.shoot(count=3)
    with looping(broker, prefix, ListSink(judge), tmp_path, grace_seconds=30.0) as running:
        wait_until(lambda: tries[0] > 1, "it is being tried")
        threading.Timer(0.05, stopping.set).start()
        running.end()
        assert running.sink.seqs == [0, 1, 2]
        assert pending(connection) == 0


@pytest.mark.parametrize(("parked_bytes", "parked"), [(1 << 20, 2), (0, 0)])
def test_what_is_refused_for_ever_is_parked_and_stands_in_nobodys_way(
    broker: EmbeddedBroker,
    prefix: str,
    connection: Connection,
    studio: Studio,
    tmp_path: Path,
    parked_bytes: int,
    parked: int,
) -> None:
    def judge(batch: Sequence[Record]) -> None:
        if any(json.loads(record.body)["seq"] in (3, 17) for record in batch):
            raise SinkRefused("not these")

    studio.shoot(count=25)
    with looping(broker, prefix, ListSink(judge), tmp_path, parked_bytes=parked_bytes) as running:
        wait_until(lambda: len(running.sink.seqs) == 23, "the others")
        wait_until(lambda: pending(connection) == 0, "nothing is left behind")
    assert running.sink.seqs == [seq for seq in range(25) if seq not in (3, 17)]
    assert running.metric("refused_total", parked="yes" if parked else "no") == 2
    lines = running.parked.read_text().splitlines() if running.parked.exists() else []
    assert [json.loads(line)["record"]["seq"] for line in lines] == [3, 17][:parked]
    assert {json.loads(line)["why"] for line in lines} <= {"not these"}
    assert running.said[0].startswith("cam/")
    if parked:
        assert running.parked.stat().st_mode & 0o777 == 0o600


def test_what_was_missed_is_a_record_of_its_own(
    broker: EmbeddedBroker, prefix: str, connection: Connection, studio: Studio, tmp_path: Path
) -> None:
    studio.shoot(count=3)
    with looping(broker, prefix, ListSink(), tmp_path) as running:
        wait_until(lambda: pending(connection) == 0 and len(running.sink.seqs) == 3, "the first")
    studio.shoot(count=10)
    studio.trim(4)
    with looping(broker, prefix, ListSink(), tmp_path) as running:
        wait_until(lambda: len(running.sink.seqs) == 5, "the missed ones and the rest")
    [missed] = [json.loads(record.body) for record in running.sink.taken if record.kind == "missed"]
    assert (missed["type"], missed["partition"], missed["count"]) == ("missed", 0, 6)
    assert missed["since"] < missed["until"]
    assert running.sink.seqs == [-1, 9, 10, 11, 12]
    assert (running.metric("missed_total"), running.metric("gaps_total")) == (6, 1)


def test_only_the_cameras_that_are_wanted(
    broker: EmbeddedBroker, prefix: str, connection: Connection, studio: Studio, tmp_path: Path
) -> None:
    for camera in ("cam", "yard", "cam"):
        studio.shoot(camera)
    with looping(broker, prefix, ListSink(), tmp_path, cameras=["cam"]) as running:
        wait_until(lambda: len(running.sink.seqs) == 2, "both of cam")
        wait_until(lambda: pending(connection) == 0, "the others are done with")
    assert {record.camera for record in running.sink.taken} == {"cam"}
    assert [record.key.partition("/")[0] for record in running.sink.taken] == ["cam", "cam"]


def test_batches_are_within_the_limits_and_in_order() -> None:
    small, limits = records(*range(7)), Limits(3, 1 << 20)
    assert [len(batch) for batch in batches(small, limits)] == [3, 3, 1]
    assert [record for batch in batches(small, limits) for record in batch] == small
    large = records(*range(4), size=600)
    assert [len(batch) for batch in batches(large, Limits(10, 1500))] == [2, 2]
    assert [len(batch) for batch in batches(large, Limits(10, 1))] == [1, 1, 1, 1], "too large is alone"
    assert list(batches([], limits)) == []


def test_groups_are_told_apart_by_receiver_and_cameras() -> None:
    names = {name_group("webhook", place, cameras) for place in ("a", "b") for cameras in ([], ["cam"])}
    assert len(names) == 4
    assert name_group("webhook", "a", []) in names


def test_starts() -> None:
    assert parse_start("earliest") == "earliest"
    assert str(parse_start("90m")) == "1:30:00"
    for text in ("never", "10", "-5m", "10w"):
        with pytest.raises(UsageError, match="--start"):
            parse_start(text)


# The processes


def sink(kind: str, *arguments: object, url: str, prefix: str = "fs", **more: str) -> Any:
    environment = {"FACESTREAM_REDIS": url, "FACESTREAM_PREFIX": prefix} | more
    return started(
        "sink", kind, *arguments, "--start", "earliest", "--metrics-port", 0, environment=environment
    )


def sent(running: Command) -> float:
    return metrics_at(port_of(running)).get("facestream_sink_sent_total", 0.0)


def lines_in(folder: Path) -> list[int]:
    paths = sorted(folder.glob("results*.jsonl"))
    found = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert {record["type"] for record in found} <= {"result"}
    return [record["seq"] for record in found]


def test_files_survive_the_sinks_death_and_the_brokers(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with KeptServer() as server, closing(Connection(server.url)) as connection:
        studio = Studio(connection)
        studio.shoot(count=20)
        with sink("jsonl", out, "--rotate-mb", 0.005, url=server.url) as running:
            wait_until(lambda: out.exists() and len(lines_in(out)) >= 20, "the first are there")
            running.signal(signal.SIGKILL)
            running.end()
        studio.shoot(count=20)
        with sink("jsonl", out, "--rotate-mb", 0.005, url=server.url) as running:
            wait_until(lambda: len(set(lines_in(out))) == 40, "those of meanwhile")
            server.restart()
            studio.shoot(count=20)
            wait_until(lambda: len(set(lines_in(out))) == 60, "the broker is back")
            running.signal(signal.SIGTERM)
            ended = running.end()
    assert ended.status == 0
    assert_no_traceback(ended)
    assert "sent " in ended.err.splitlines()[-1]
    assert sorted(set(lines_in(out))) == list(range(60))
    assert len(list(out.glob("results-*.jsonl"))) > 1


def test_a_webhook_survives_its_receivers_absence(
    broker: EmbeddedBroker, prefix: str, connection: Connection, studio: Studio, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    receiver = Receiver()
    studio.shoot(count=10)
    how = ("--secret-file", file, "--batch", 4, "--parked", tmp_path / "parked")
    with sink("webhook", receiver.url, *how, url=broker.url, prefix=prefix) as running:
        wait_until(lambda: "does not answer" in running.err, "nobody is there")
        with receiver:
            wait_until(lambda: len(receiver.records) == 10, "the first come")
        studio.shoot(count=10)
        wait_until(lambda: running.err.count("does not answer") == 2, "gone again")
        receiver.judge = lambda call: 422 if any(each["seq"] == 13 for each in call.records) else 200
        with receiver:
            wait_until(lambda: len({record["seq"] for record in receiver.records}) == 19, "the rest")
            wait_until(lambda: sent(running) >= 19, "and it knows")
            running.signal(signal.SIGTERM)
            ended = running.end()
    assert_no_traceback(ended)
    assert ended.status == 0
    assert "refused 1" in ended.err.splitlines()[-1]
    assert json.loads((tmp_path / "parked").read_text())["record"]["seq"] == 13
    assert all(len(call.records) <= 4 for call in receiver.taken)
    for secret in ("sesame", SECRET):
        assert secret not in ended.err + ended.out
    assert pending(connection, name_group("webhook", receiver.url, [])) == 0


@pytest.mark.skipif(PROGRAM is None, reason=WITHOUT)
def test_mqtt_survives_its_brokers_death(broker: EmbeddedBroker, prefix: str, studio: Studio) -> None:
    mqtt = Mosquitto()
    mqtt.start()
    try:
        with (
            subscribed(mqtt) as messages,
            sink("mqtt", f"mqtt://127.0.0.1:{mqtt.port}", url=broker.url, prefix=prefix) as running,
        ):
            studio.shoot(count=10)
            wait_until(lambda: len(messages) >= 10, "the first come")
            mqtt.kill()
            studio.shoot(count=10)
            wait_until(lambda: "MQTT broker" in running.err.partition("group")[2], "it is missed")
            mqtt.start()
            wait_until(lambda: len({body for _, body in messages}) == 20, "the rest")
            running.signal(signal.SIGTERM)
            ended = running.end()
    finally:
        mqtt.close()
    assert_no_traceback(ended)
    assert (ended.status, {topic for topic, _ in messages}) == (0, {"facestream/results/cam"})


def test_one_that_cannot_deliver_ends_in_time_and_loses_nothing(
    broker: EmbeddedBroker, prefix: str, studio: Studio
) -> None:
    receiver, environment = Receiver(), {"FACESTREAM_SINK_SECRET": SECRET, "FACESTREAM_GRACE_SECONDS": "0.2"}
    studio.shoot(count=3)
    with sink("webhook", receiver.url, url=broker.url, prefix=prefix, **environment) as running:
        wait_until(lambda: "does not answer" in running.err, "nobody is there")
        running.signal(signal.SIGTERM)
        assert running.end().status == 0
    with receiver, sink("webhook", receiver.url, url=broker.url, prefix=prefix, **environment):
        wait_until(lambda: len(receiver.records) == 3, "the next one brings them")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("webhook", "https://example.org/"), "which secret signs?"),
        (("webhook", "http://example.org/"), "in the clear"),
        (("webhook", "https://me:hush@example.org/"), "process lists show"),
        (("mqtt", "mqtts://example.org/topic"), "the topic is --topic"),
        (("mqtt", "mqtt://127.0.0.1", "--topic", "a/#"), "--topic 'a/#'"),
        (("jsonl", "/dev/null/x"), "choose another place"),
        (("jsonl", "x.jsonl", "--start", "soon"), "--start 'soon'"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(build_app(), ["sink", *arguments, "--redis", "redis://127.0.0.1:1/0"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert "hush" not in err
