"""`facestream exporter` scraped over HTTP while frames move, while the broker is away, and after."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import typer
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from facestream import exporter_base
from facestream.broker import EmbeddedBroker, server_binary
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.overview import Observer
from facestream.commands.app import run
from facestream.commands.exporter import register
from facestream.contract import SourceDrop
from facestream.exporter import LedgerCollector
from support.bus import (
    begin,
    expire_lease,
    publish,
    reject_of,
    result_of,
    running_server,
    take,
    wait_until,
    worker,
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(page: str) -> Samples:
    """Every sample by name and labels; the parser refuses a page that is not of the format."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"facestream_{name}", frozenset(labels.items())]


@pytest.fixture
def scrape(
    broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Samples]]:
    """What a scrape of this test's keys says at the moment, read anew each time."""
    monkeypatch.setattr(exporter_base, "CACHE_SECONDS", 0.0)
    collector = LedgerCollector(lambda: Observer(broker.url, prefix=prefix), lambda _line: None)
    registry = CollectorRegistry()
    registry.register(collector)
    yield lambda: samples_of(generate_latest(registry).decode())
    collector.close()


@contextmanager
def exporting(url: str, prefix: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, on a port it chose; with the address it named."""
    process = subprocess.Popen(
        [sys.executable, "-m", "facestream", "exporter", "--port", "0"],
        env=os.environ | {"FACESTREAM_REDIS": url, "FACESTREAM_PREFIX": prefix},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("facestream: metrics at http://127.0.0.1:"), line
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@contextmanager
def server_at(path: Path) -> Iterator[None]:
    """A real server on this very socket, killed at the end."""
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(path.parent), "--save", ""]
    process = subprocess.Popen([server_binary(), *options], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _accepts(path), "the server accepts")
        yield
    finally:
        process.kill()
        process.wait()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def get(address: str) -> Samples:
    with urllib.request.urlopen(address, timeout=30) as reply:  # noqa: S310 (our own http address)
        assert reply.status == 200
        return samples_of(reply.read().decode())


def test_a_scrape_says_what_the_ledger_says(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    epoch = begin(connection, "front-door", live=True, depth=4)
    publish(epoch, 5)
    epoch.totals.capture()
    epoch.totals.drop(SourceDrop.FPS_LIMIT)
    epoch.totals.capture()
    epoch.report()
    hands = worker(connection, "host-1")
    hands.commit([result_of(take(hands)[0], held_us=300_000)])
    hands.commit([result_of(take(hands)[0], held_us=7_000_000)])
    hands.commit([reject_of(take(hands)[0])])
    ledger = read_ledger(connection, "front-door")
    publish(begin(connection, "yard"), 2)
    take(hands)

    with exporting(broker.url, prefix) as (process, address):
        samples = get(address)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""

    door = {"camera": "front-door"}
    assert value(samples, "broker_up") == 1
    assert value(samples, "captured_total", **door) == ledger.captured - 1 == 6
    assert value(samples, "frames_at_producer", **door) == 1
    assert value(samples, "published_total", **door) == 5
    assert value(samples, "results_total", **door) == 2
    assert value(samples, "dropped_total", **door, reason="fps_limit", where="source") == 1
    assert value(samples, "dropped_total", **door, reason="trimmed_unread", where="broker") == 1
    assert value(samples, "dropped_total", **door, reason="decode_error", where="broker") == 1
    assert value(samples, "frames_in_flight", **door) + value(samples, "frames_in_flight", camera="yard") == 3
    assert value(samples, "frames_in_hand", worker="host-1") == 1
    unread = [value(samples, "frames_unread", camera=camera) for camera in ("front-door", "yard")]
    assert sum(unread) == 2
    assert value(samples, "oldest_unread_age_seconds", camera="yard") > 0
    for identity in ("source", "broker"):
        assert value(samples, "unaccounted_frames", **door, identity=identity) == 0
    assert value(samples, "workers_alive") == 1
    assert value(samples, "results_retained") == 2
    assert value(samples, "rejects_retained") == 1
    assert value(samples, "epoch_state", **door, state="open") == 1
    assert 0 < value(samples, "broker_memory_used_bytes") < value(samples, "broker_memory_max_bytes")


def test_ages_are_a_real_histogram(connection: Connection, scrape: Callable[[], Samples]) -> None:
    publish(begin(connection, "gate"), 3)
    hands = worker(connection)
    for held_us in (300_000, 7_000_000, 60_000_000):
        hands.commit([result_of(take(hands)[0], held_us=held_us)])
    ledger = read_ledger(connection, "gate")

    samples = scrape()

    def within(bound: str) -> float:
        return value(samples, "result_age_seconds_bucket", camera="gate", le=bound)

    assert [within(bound) for bound in ("0.25", "5.0", "10.0", "+Inf")] == [0, 1, 2, 3]
    bounds = [
        dict(labels)["le"] for name, labels in samples if name == "facestream_result_age_seconds_bucket"
    ]
    counts = [within(bound) for bound in sorted(bounds, key=float)]
    assert counts == sorted(counts), "buckets are cumulative"
    assert value(samples, "result_age_seconds_count", camera="gate") == 3
    assert value(samples, "result_age_seconds_sum", camera="gate") == ledger.age_sum_ms / 1000 > 67


def test_a_killed_producer_makes_no_counter_fall(
    connection: Connection, scrape: Callable[[], Samples]
) -> None:
    """Prometheus takes a falling counter for a restart, and would count everything again."""
    epoch = begin(connection, "gate")
    publish(epoch, 2)
    epoch.totals.capture()
    epoch.totals.capture()
    epoch.report()
    before = scrape()
    expire_lease(connection, "gate")
    assert value(scrape(), "epoch_state", camera="gate", state="killed") == 1

    publish(begin(connection, "gate"))
    after = scrape()

    assert value(before, "captured_total", camera="gate") == 2
    assert value(before, "frames_at_producer", camera="gate") == 2
    assert value(after, "captured_total", camera="gate") == 3
    counters = [key for key in before if key[0].endswith(("_total", "_bucket", "_count", "_sum"))]
    assert len(counters) > 10
    for key in counters:
        assert after[key] >= before[key], key


def test_lost_frames_are_unaccounted(connection: Connection, scrape: Callable[[], Samples]) -> None:
    publish(begin(connection, "gate"), 4)
    connection.read("DEL", connection.keys.frames("gate"))

    assert value(scrape(), "unaccounted_frames", camera="gate", identity="broker") == 4


def test_strange_names_never_become_labels(connection: Connection, scrape: Callable[[], Samples]) -> None:
    publish(begin(connection, "gate"))
    keys = connection.keys
    connection.read("SADD", keys.cameras(0), 'x"} 1\nfacestream_fake', b"\xff", "UPPER", "broken")
    connection.read("SET", keys.ledger("broken"), "no hash")
    connection.read("ZADD", keys.workers(0), 1, "bad\nworker")
    connection.read("HSET", keys.ledger("gate"), "drop:no\nsuch", 1, "drop:other", 2, "published", 4)

    samples = scrape()

    labels = {text for _, pairs in samples for _, text in pairs}
    assert "gate" in labels
    assert labels.isdisjoint({"broken", "UPPER", "bad\nworker", "no\nsuch", "other"})
    assert not any("fake" in name for name, _ in samples)
    assert value(samples, "exporter_skipped") == 5
    assert value(samples, "dropped_total", camera="gate", reason="unknown", where="broker") == 3
    assert value(samples, "unaccounted_frames", camera="gate", identity="broker") == 0


def test_scrapes_close_together_share_one_reading(
    broker: EmbeddedBroker, connection: Connection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_base, "CACHE_SECONDS", 3600.0)
    made: list[Observer] = []

    def connect() -> Observer:
        made.append(Observer(broker.url, prefix=prefix))
        return made[-1]

    collector = LedgerCollector(connect, lambda _line: None)
    registry = CollectorRegistry()
    registry.register(collector)
    assert made == [], "registering asks nothing of the broker"

    epoch = begin(connection, "gate")
    publish(epoch)
    first = generate_latest(registry)
    publish(epoch)
    assert generate_latest(registry) == first
    assert len(made) == 1
    collector.close()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """In a folder of its own, with a name short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="fs-") as folder:
        yield Path(folder) / "s.sock"


def test_a_broker_that_is_away_is_said_and_comes_back(socket_path: Path, prefix: str) -> None:
    path, url = socket_path, f"unix://{socket_path}"
    with exporting(url, prefix) as (process, address):
        assert get(address)[("facestream_broker_up", frozenset())] == 0, "away from the start"
        with server_at(path):
            connection = Connection(url, prefix=prefix)
            publish(begin(connection, "gate"), 2)
            wait_until(lambda: value(get(address), "broker_up") == 1, "the broker is seen")
            assert value(get(address), "published_total", camera="gate") == 2
            connection.close()
        wait_until(lambda: value(get(address), "broker_up") == 0, "the loss is seen")
        away = get(address)
        assert not any("camera" in dict(labels) for _, labels in away), "no stale figure passes as fresh"
        with server_at(path):
            connection = Connection(url, prefix=prefix)
            publish(begin(connection, "yard"), 3)
            wait_until(lambda: value(get(address), "broker_up") == 1, "the return is seen")
            samples = get(address)
            connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None
        said = process.stderr.read().splitlines()
    assert value(samples, "published_total", camera="yard") == 3
    assert ("facestream_published_total", frozenset({("camera", "gate")})) not in samples
    assert [line.split(":")[1].split()[:3] for line in said] == [
        ["no", "broker", "answers"],
        ["the", "broker", "is"],
        ["no", "broker", "answers"],
        ["the", "broker", "is"],
    ]


def test_a_deployment_founded_anew_is_noticed(
    connection: Connection, scrape: Callable[[], Samples], prefix: str, broker: EmbeddedBroker
) -> None:
    publish(begin(connection, "gate"))
    assert value(scrape(), "published_total", camera="gate") == 1
    for key in connection.read("KEYS", f"{prefix}:*"):
        connection.read("DEL", key)
    assert not any("camera" in dict(labels) for _, labels in scrape())

    anew = Connection(broker.url, prefix=prefix, partitions=3)
    publish(begin(anew, "yard"))
    samples = scrape()
    assert value(samples, "published_total", camera="yard") == 1
    assert value(samples, "deployment_info", incarnation=anew.incarnation) == 1
    anew.close()


def run_exporter(*arguments: str) -> int:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return run(app, ["exporter", *arguments])


def test_what_cannot_work_is_one_line_at_the_start(
    broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run_exporter("--redis", broker.url, "--port", port) == 2
    assert f"--port {port}" in capsys.readouterr().err

    with running_server("--requirepass", "hunter2", credentials=":swordfish@") as url:
        assert run_exporter("--redis", url, "--port", "0") == 1
    error = capsys.readouterr().err
    assert "refused these credentials" in error
    assert "swordfish" not in error
    assert error.count("\n") == 1

    assert run_exporter() == 2
    assert "--redis" in capsys.readouterr().err


def test_a_broker_that_refuses_is_told_from_one_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter_base, "CACHE_SECONDS", 0.0)
    registry = CollectorRegistry()
    with running_server() as url:
        collector = LedgerCollector(lambda: Observer(url), lambda _line: None)
        registry.register(collector)

        def refused() -> tuple[float, float]:
            samples = samples_of(generate_latest(registry).decode())
            return value(samples, "broker_up"), value(samples, "broker_refused")

        assert refused() == (1, 0)
        with redis.Redis.from_url(url) as admin:
            admin.config_set("requirepass", "another")
            admin.execute_command("AUTH", "another")
            admin.client_kill_filter(_type="normal", skipme=True)
            assert refused() == (0, 1)
            admin.config_set("requirepass", "")
            assert refused() == (1, 0)
    assert refused() == (0, 0)
    collector.close()
