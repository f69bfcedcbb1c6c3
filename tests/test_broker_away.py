"""A broker that is away when processes start, when sources begin, and in the middle of a run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.supervisor import Supervisor
from facestream_producer.capture import Shape
from facestream_producer.hooks import Hooks
from facestream_producer.session import Session
from support.bus import wait_until
from support.kept_server import KeptServer
from support.portraits import weights
from support.processes import assert_no_traceback, facestream, started

PRODUCER = ("producer", "demo:")


@pytest.fixture
def server() -> Iterator[KeptServer]:
    with KeptServer() as server:
        yield server


def test_a_command_that_finds_no_broker_ends_with_a_status_of_its_own(server: KeptServer) -> None:
    server.kill()
    for command in (PRODUCER, ("worker", "--workers", 2), ("run", "demo:")):
        ended = facestream(*command, "--redis", server.url)
        assert_no_traceback(ended)
        assert ended.status == 75, ended.err
        [line] = ended.said
        assert line.startswith(f"facestream: no broker answers at {server.url}")


def test_a_child_that_finds_no_broker_is_started_until_there_is_one(server: KeptServer) -> None:
    server.kill()
    lines: list[str] = []
    told: list[str] = []
    with Supervisor(told.append, {"FACESTREAM_REDIS": server.url}, give_up_after=1) as children:
        child = children.start("producer", PRODUCER, restart=True, on_line=lines.append)

        def is_at_work() -> bool:
            assert children.check() == []
            return "began" in "".join(lines)

        wait_until(lambda: is_at_work() or child.restarts == 1, "it is started again")
        server.start()
        wait_until(is_at_work, "it found the broker")
    assert any("producer died (status 75); restarting" in line for line in told)


def test_a_source_that_begins_while_the_broker_is_away_waits_for_it(
    server: KeptServer, capfd: pytest.CaptureFixture[str]
) -> None:
    connection, failed, said = Connection(server.url), [], ""
    shape = Shape(max_side=64, quality=50, max_age_ms=None, attributes=())
    session = Session(connection, shape, Hooks(), threading.Event())

    def is_said(line: str) -> bool:
        nonlocal said
        said += "".join(capfd.readouterr())
        return line in said

    server.kill()
    thread = threading.Thread(target=lambda: failed.append(session.run(["demo:seconds=0.2,fps=10"], ["cam"])))
    thread.start()
    wait_until(lambda: is_said("no broker answers"), "it is said")
    server.start()
    thread.join()
    assert failed == [0]
    assert read_ledger(connection, "cam").published == 2
    connection.close()


def test_a_run_outlasts_a_broker_that_is_away_for_a_while(server: KeptServer, tmp_path: Path) -> None:
    weights()
    out = tmp_path / "results.jsonl"
    options = ["--redis", server.url, "--workers", 1, "--out", out, "--json"]
    with started("run", "demo:seconds=3,fps=10", *options) as running:
        wait_until(lambda: out.exists() and out.read_text().count("\n") >= 3, "results come")
        server.kill()
        wait_until(lambda: "waiting for it" in running.err, "it is said")
        server.start()
        ended = running.end()
    assert_no_traceback(ended)
    assert ended.status == 0, ended.err
    assert ended.err.count("; waiting for it") == ended.err.count("the broker is back")
    summary = ended.summary
    assert summary["captured"] == summary["results"] == 30
    assert summary["every_frame_has_one_end"] is True
    results = [json.loads(line)["seq"] for line in out.read_text().splitlines()]
    assert results == list(range(30))
