"""What an operator does from outside: rejects, drain, ps, and leaving in time."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger, settle
from facestream.bus.taker import Taker
from facestream.commands.app import build_app, run
from facestream.contract import DropReason
from support.bus import begin, publish, reject_of, result_of, wait_until
from support.processes import assert_no_traceback, started

Facestream = Callable[..., tuple[int, str, str]]


@pytest.fixture
def facestream(
    broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Facestream:
    """Run a command against this test's keys; its status, output and messages."""
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url)
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)

    def command(*arguments: str) -> tuple[int, str, str]:
        status = run(build_app(), list(arguments))
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def test_rejects_are_shown_with_their_reason(connection: Connection, facestream: Facestream) -> None:
    publish(begin(connection, "gate"), 2)
    publish(begin(connection, "hall"), 1)
    taker = Taker(connection, "w")
    taker.commit([reject_of(delivery) for delivery in taker.take(8, 1.0)])

    status, out, _ = facestream("rejects", "--json")
    shown = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert sorted(reject["camera"] for reject in shown) == ["gate", "gate", "hall"]
    assert {reject["reason"] for reject in shown} == {"decode_error"}

    _, out, _ = facestream("rejects", "--camera", "hall")
    assert len(out.splitlines()) == 1
    assert "hall  decode_error" in out
    assert facestream("rejects", "--last", "1", "--json")[1].count("\n") == 1


def test_rejects_are_followed_as_they_come(
    connection: Connection, broker: EmbeddedBroker, prefix: str
) -> None:
    epoch, taker = begin(connection, "gate"), Taker(connection, "w")

    def refuse(reason: DropReason) -> None:
        publish(epoch)
        taker.commit([reject_of(delivery, reason) for delivery in taker.take(8, 1.0)])

    refuse(DropReason.DECODE_ERROR)
    where = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}
    with started("rejects", "--follow", "--json", environment=where) as running:
        wait_until(lambda: running.out.count("\n") == 1, "what was there before is shown")
        refuse(DropReason.MODEL_ERROR)
        wait_until(lambda: running.out.count("\n") == 2, "what comes is shown")
        running.signal(signal.SIGINT)
        ended = running.end()
    assert_no_traceback(ended)
    assert [json.loads(line)["reason"] for line in ended.out.splitlines()] == ["decode_error", "model_error"]


def test_drain_waits_for_the_last_frame(connection: Connection, facestream: Facestream) -> None:
    publish(begin(connection, "gate"), 3)
    taker = Taker(connection, "w")

    def work() -> None:
        for _ in range(3):
            taker.commit([result_of(delivery) for delivery in taker.take(1, 5.0)])

    status, _, err = facestream("drain", "--timeout", "0")
    assert status == 1
    assert "3 frames are still in flight" in err
    assert "gate" in err

    worker = threading.Timer(0.1, work)
    worker.start()
    status, out, _ = facestream("drain", "--timeout", "30")
    worker.join()
    assert status == 0
    assert "3 results" in out
    assert read_ledger(connection, "gate").in_flight == 0


def test_ps_says_who_holds_what(connection: Connection, facestream: Facestream) -> None:
    assert "no producer and no worker" in facestream("ps")[1]
    publish(begin(connection, "gate"), 2)
    taker = Taker(connection, "worker-1")
    taker.join()
    assert len(taker.take(2, 1.0)) == 2

    found = json.loads(facestream("ps", "--json")[1])
    [producer] = found["producers"]
    assert (producer["state"], producer["cameras"]) == ("alive", ["gate"])
    assert found["workers"] == [{"name": "worker-1", "state": "alive", "frames_in_hand": 2, "metrics": None}]

    taker.leave()
    [nobody] = json.loads(facestream("ps", "--json")[1])["workers"]
    assert (nobody["name"], nobody["frames_in_hand"]) == ("(nobody)", 2)


def test_what_a_producer_calls_itself_is_no_markup_and_steers_no_terminal(
    connection: Connection, facestream: Facestream
) -> None:
    publish(begin(connection, "gate"))
    connection.read("HSET", connection.keys.ledger("gate"), "holder", "[/x]\x1b[2Jme")
    status, out, _ = facestream("ps")
    assert status == 0
    assert "[/x]?[2Jme" in out


def test_an_explained_difference_is_booked_once(connection: Connection) -> None:
    publish(begin(connection, "gate"), 3)
    [oldest, *_] = connection.read("XRANGE", connection.keys.frames("gate"), "-", "+")
    connection.read("XDEL", connection.keys.frames("gate"), oldest[0])
    assert read_ledger(connection, "gate").broker_difference == 1

    assert settle(connection, "gate", "deleted by hand") == (0, 1)
    assert settle(connection, "gate", "again") == (0, 0)
    ledger = read_ledger(connection, "gate")
    assert ledger.closes
    assert [(each.after, each.reason) for each in ledger.settlements] == [(1, "deleted by hand")]

    taker = Taker(connection, "w")
    taker.commit([result_of(delivery) for delivery in taker.take(8, 1.0)])
    ledger = read_ledger(connection, "gate")
    assert (ledger.results, ledger.settled, ledger.closes) == (2, 1, True)


def test_the_audit_fails_until_the_difference_is_settled(
    connection: Connection, facestream: Facestream
) -> None:
    publish(begin(connection, "gate"), 2)
    [oldest, *_] = connection.read("XRANGE", connection.keys.frames("gate"), "-", "+")
    connection.read("XDEL", connection.keys.frames("gate"), oldest[0])

    assert facestream("audit")[0] == 1
    status, _, err = facestream("audit", "gate", "--settle", " ")
    assert (status, "needs the reason" in err) == (2, True)
    status, _, err = facestream("audit", "gate", "--settle", "a test deleted it")
    assert (status, "booked 0 at the source, 1 after publication" in err) == (0, True)
    assert facestream("audit")[0] == 0
    [camera] = json.loads(facestream("audit", "--json")[1])["cameras"]
    assert camera["settlements"][0]["reason"] == "a test deleted it"
