"""`/healthz` and `/readyz` of real processes: with the broker, without it, and while a loop is stuck."""

from __future__ import annotations

import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry, Counter

from facestream import metrics
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.taker import Taker
from facestream.errors import SettingsError, SinkUnavailable
from facestream.metrics import serve_metrics
from facestream.vitals import PULSE_SECONDS, Health
from facestream_models import Analyser
from facestream_sinks.readiness import Readiness
from facestream_sinks.running import STUCK_SECONDS
from facestream_sinks.webhook import MAX_RETRY_AFTER_SECONDS
from facestream_worker.hooks import Hooks
from facestream_worker.loop import run
from facestream_worker.pipeline import Pipeline
from facestream_worker.vital_signs import LACKING_AT_START, LOOP, VitalSigns
from support.bus import begin, publish, wait_until
from support.clips import make_clip
from support.kept_server import KeptServer
from support.portraits import weights
from support.processes import Command, port_of, started

OK = (200, "ok\n")


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 (our own address)
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


@pytest.fixture
def server() -> Iterator[KeptServer]:
    with KeptServer(keeps=False) as server:
        yield server


def outlive_the_broker(running: Command, server: KeptServer) -> None:
    """Ready, then not, with a reason and in good health, then ready again."""
    port = port_of(running)
    wait_until(lambda: ask(port, "/readyz") == OK, f"it is ready: {running.err}")
    assert ask(port, "/healthz") == OK
    server.kill()
    wait_until(lambda: ask(port, "/readyz")[0] == 503, "it is not ready")
    status, why = ask(port, "/readyz")
    assert (status, why.count("\n")) == (503, 1)
    assert why.startswith(f"no broker answers at {server.url}")
    assert ask(port, "/healthz") == OK
    server.start()
    wait_until(lambda: ask(port, "/readyz") == OK, "it is ready again")


def test_a_worker_is_ready_while_the_broker_knows_it(server: KeptServer) -> None:
    weights()
    with started("worker", "--metrics-port", 0, environment={"FACESTREAM_REDIS": server.url}) as running:
        outlive_the_broker(running, server)


def test_a_producer_of_registered_cameras_is_ready_while_the_registry_answers(server: KeptServer) -> None:
    with started(
        "producer", "--processes", 1, "--metrics-port", 0, environment={"FACESTREAM_REDIS": server.url}
    ) as running:
        outlive_the_broker(running, server)


def test_an_exporter_is_ready_while_its_readings_are_good(server: KeptServer) -> None:
    """Asked or scraped, it looks: nobody has to scrape it first."""
    with started("exporter", "--port", 0, environment={"FACESTREAM_REDIS": server.url}) as running:
        outlive_the_broker(running, server)


def test_a_producer_of_files_is_healthy_while_it_waits_for_workers(
    broker: EmbeddedBroker, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clip = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=60)
    environment = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}
    with started("producer", clip, "--metrics-port", 0, environment=environment) as running:
        port = port_of(running)
        wait_until(lambda: ask(port, "/readyz") == OK, "it is ready")
        assert ask(port, "/healthz") == OK


class Stuck(Hooks):
    """Holds the loop in the middle of a batch until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def taken(self, batch: object, seconds: float) -> None:
        self.let_go.wait(30)


def test_a_frame_loop_that_is_stuck_is_not_healthy(connection: Connection) -> None:
    weights()
    health, stuck, stop = Health(LACKING_AT_START, pulse_seconds=1.5), Stuck(), threading.Event()
    port = serve_metrics(CollectorRegistry(), 0, health=health)
    assert ask(port, "/readyz") == (503, "the models are not loaded yet; the broker was not joined yet\n")
    pipeline = Pipeline(Analyser(()), "w", 5)
    health.have("models")
    taker = Taker(connection, "w")
    loop = threading.Thread(
        target=run, args=(taker, pipeline, [stuck, VitalSigns(health)], stop), kwargs={"batch_size": 1}
    )
    loop.start()
    try:
        wait_until(lambda: ask(port, "/readyz") == OK, "it is ready")
        publish(begin(connection, "door"))
        wait_until(lambda: ask(port, "/healthz")[0] == 503, "it is stuck")
        for path in ("/healthz", "/readyz"):
            status, why = ask(port, path)
            assert (status, why.startswith(f"{LOOP} has not turned for ")) == (503, True)
        stuck.let_go.set()
        wait_until(lambda: ask(port, "/healthz") == OK, "it turns again")
    finally:
        stuck.let_go.set()
        stop.set()
        loop.join()


def test_a_loop_counts_from_its_first_beat_until_it_rests() -> None:
    health = Health(pulse_seconds=-1.0)
    assert health.stuck() == ""
    health.beat("door")
    health.beat("hall")
    assert health.stuck().startswith("door has not turned for ")
    assert "; hall has" in health.stuck()
    health.rest("door")
    health.rest("hall")
    assert health.stuck() == ""
    with health.during("a reading"):
        assert health.stuck().startswith("a reading has not")
    assert health.unready() == ""
    assert PULSE_SECONDS == 60


def test_a_sink_that_is_stuck_is_not_healthy() -> None:
    health = Health(pulse_seconds=-1.0)
    readiness = Readiness(health)
    for tell in (
        lambda: readiness.taken([]),
        lambda: readiness.sent([]),
        lambda: readiness.retried(SinkUnavailable("it is away")),
    ):
        tell()
        assert health.stuck().startswith("the loop has not turned for ")
        health.rest("the loop")
    assert health.unready() == "it is away"
    assert STUCK_SECONDS > MAX_RETRY_AFTER_SECONDS


def test_other_pages_and_methods_are_refused_in_a_line() -> None:
    port = serve_metrics(CollectorRegistry(), 0)
    assert ask(port, "/healthz") == (404, "here are /metrics\n")
    port = serve_metrics(CollectorRegistry(), 0, health=Health())
    assert ask(port, "/x?y") == (404, "here are /metrics, /healthz, /readyz\n")
    assert ask(port, "/healthz", "POST") == (405, "only GET\n")


def test_connections_that_say_nothing_neither_pile_up_nor_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    Counter("some", "Some", registry=registry)
    monkeypatch.setattr(metrics._Handler, "timeout", 0.5)
    port = serve_metrics(registry, 0)
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * metrics.ASKED_AT_ONCE)]
    try:
        assert silent[-1].recv(1) == b""  # one too many: hung up on
        assert threading.active_count() <= before + metrics.ASKED_AT_ONCE
        wait_until(lambda: threading.active_count() <= before, "the silent ones are given up")
        assert "some_total 0.0" in ask(port, "/metrics")[1]
    finally:
        for line in silent:
            line.close()


def test_who_says_a_letter_now_and_then_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics._Handler, "timeout", 0.5)
    port = serve_metrics(CollectorRegistry(), 0)
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(0.05)
        told = 0
        with suppress(ConnectionError):
            while told < 100:
                line.sendall(b"G")
                told += 1
                try:
                    assert line.recv(1) == b""
                    break
                except TimeoutError:
                    continue
    assert told < 100


def test_an_address_that_cannot_be_had_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"--metrics-host 192.0.2.1 --metrics-port 0: .*; name an"):
        serve_metrics(CollectorRegistry(), 0, "192.0.2.1")
    with pytest.raises(SettingsError, match=r"--metrics-host no such host --metrics-port 0: .*; name an"):
        serve_metrics(CollectorRegistry(), 0, "no such host")


@pytest.mark.skipif(not socket.has_ipv6 or sys.platform != "linux", reason="needs IPv6")
def test_it_serves_on_ipv6_too() -> None:
    try:
        port = serve_metrics(CollectorRegistry(), 0, "::1", health=Health())
    except SettingsError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with urllib.request.urlopen(f"http://[::1]:{port}/readyz", timeout=30) as reply:
        assert reply.read() == b"ok\n"


def test_a_registry_apart_is_what_a_producer_waits_for(server: KeptServer, broker: EmbeddedBroker) -> None:
    """The frames' broker is there all the time; the one that keeps the cameras is not."""
    environment = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_STATE_REDIS": server.url}
    with started("producer", "--processes", 1, "--metrics-port", 0, environment=environment) as running:
        outlive_the_broker(running, server)
