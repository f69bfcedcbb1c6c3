"""`facestream audit` against real traffic, and against what was done to the broker behind its back."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from typing import Any

import pytest
import typer
from rich.console import Console

from facestream.audit import audit as examine
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.overview import Observer, read_overview
from facestream.commands.app import run
from facestream.commands.audit import register
from facestream.commands.audit_table import drawn
from facestream.contract import SourceDrop
from facestream.errors import BusFull
from support.bus import (
    begin,
    declare_dead,
    expire_lease,
    publish,
    reject_of,
    result_of,
    running_server,
    take,
    worker,
)


@pytest.fixture
def audit(broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command on this test's keys; its exit status."""
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url)
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)
    return run_audit


def run_audit(*arguments: str) -> int:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return run(app, ["audit", *arguments])


def read_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def make_traffic(connection: Connection, *cameras: str) -> None:
    """6 captured: 1 dropped at the source, 1 trimmed, 1 result, 1 reject, 1 in a worker's hands, 1 unread."""
    epochs = {camera: begin(connection, camera, live=True, depth=3) for camera in cameras}
    for camera, epoch in epochs.items():
        publish(epoch, 4)
        epoch.totals.capture()
        epoch.totals.drop(SourceDrop.FPS_LIMIT)
        epoch.report()
        hands = worker(connection, f"worker-{camera}")
        hands.commit([result_of(take(hands)[0])])
        hands.commit([reject_of(take(hands)[0])])
        assert len(take(hands)) == 1
    for epoch in epochs.values():
        publish(epoch)


def test_nobody_published_is_no_fault(
    audit: Any, broker: EmbeddedBroker, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit() == 0
    assert "no camera has published here yet" in capsys.readouterr().out

    with running_server() as url:
        observer = Observer(url, prefix=prefix)
        assert not observer.founded
        assert observer.read("DBSIZE") == 0, "looking on founded a deployment"
        observer.close()


def test_every_count_is_shown_and_closes_while_frames_are_under_way(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    make_traffic(connection, "front-door", "yard")

    assert audit("--json") == 0
    found = read_json(capsys)

    assert found["closes"] is True
    assert found["differences"] == []
    assert found["broker"]["incarnation"] == connection.incarnation
    assert [camera["camera"] for camera in found["cameras"]] == ["front-door", "yard"]
    first = found["cameras"][0]
    assert first["state"] == "open"
    assert (first["captured"], first["published"], first["results"]) == (6, 5, 1)
    assert first["dropped_at_source"] == {"fps_limit": 1}
    assert first["dropped"] == {"trimmed_unread": 1, "decode_error": 1}
    assert (first["in_flight"], first["in_hand_of_workers"], first["unread"]) == (2, 1, 1)
    assert found["all"]["captured"] == 12
    assert found["all"]["in_flight"] == 4


def test_a_pipe_gets_one_plain_line_a_camera(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    make_traffic(connection, "front-door", "yard")

    assert audit() == 0
    heading, first, second, whole, verdict = capsys.readouterr().out.splitlines()

    assert heading.split()[:3] == ["camera", "epoch", "captured"]
    assert first.split()[:3] == ["front-door", "open", "6"]
    assert "fps_limit 1" in first
    assert "decode_error 1, trimmed_unread 1" in first
    assert first.endswith("yes")
    assert second.split()[0] == "yard"
    assert whole.split()[:3] == ["all", "-", "12"]
    assert verdict.startswith("every frame has one end")
    assert not any("\x1b" in line for line in (heading, first, whole, verdict))


def test_the_drawn_table_fits_a_narrow_terminal(
    broker: EmbeddedBroker, prefix: str, connection: Connection
) -> None:
    make_traffic(connection, "front-door", "yard")
    observer = Observer(broker.url, prefix=prefix)
    screen = Console(width=80, force_terminal=True, color_system=None, file=io.StringIO())
    screen.print(drawn(examine(observer)))
    observer.close()
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()

    assert max(map(len, lines)) <= 80
    (first,) = [line.split() for line in lines if line.startswith("front-door")]
    assert first == ["front-door", "open", "6", "0", "5", "1", "3", "2", "1", "yes"]
    assert [line.split()[-1] for line in lines if "fps_limit" in line] == ["1", "1", "2"]


def test_a_deleted_frame_is_missed_and_named(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    make_traffic(connection, "front-door", "yard")
    frames = connection.keys.frames("front-door")
    newest = connection.read("XREVRANGE", frames, "+", "-", "COUNT", 1)[0][0]
    assert connection.read("XDEL", frames, newest) == 1

    assert audit() == 1
    said = capsys.readouterr().out
    assert "front-door: 1 frame was published that is no result" in said
    assert "deleted from outside" in said
    assert "yard:" not in said

    assert audit("--json") == 1
    found = read_json(capsys)
    (difference,) = found["differences"]
    assert (difference["camera"], difference["identity"], difference["frames"]) == ("front-door", "broker", 1)
    assert found["closes"] is False
    assert found["all"]["broker_difference"] == 1

    assert audit("yard") == 0, "only the cameras asked for are judged"


def test_a_frame_added_from_outside_is_one_too_many(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    make_traffic(connection, "front-door")
    connection.read("XADD", connection.keys.frames("front-door"), "*", "h", "", "i", "")

    assert audit("--json") == 1
    (difference,) = read_json(capsys)["differences"]
    assert (difference["identity"], difference["frames"]) == ("broker", -1)
    assert "1 frame more was ended or in flight than published" in difference["text"]


@pytest.mark.parametrize(("by", "words"), [(2, "2 frames were captured but"), (-1, "1 frame more was")])
def test_a_changed_total_breaks_the_identity_at_the_source(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str], by: int, words: str
) -> None:
    make_traffic(connection, "front-door")
    connection.read("HINCRBY", connection.keys.ledger("front-door"), "captured", by)

    assert audit("--json") == 1
    (difference,) = read_json(capsys)["differences"]
    assert (difference["identity"], difference["frames"]) == ("source", by)
    assert words in difference["text"]


def test_unknown_cameras_are_told_the_nearest(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit("gate") == 2
    assert capsys.readouterr().err == (
        "facestream: no camera is called 'gate': none has published here yet\n"
    )
    make_traffic(connection, "front-door")

    assert audit("front-dor") == 2
    assert "did you mean front-door?" in capsys.readouterr().err
    assert audit("front-door", "zzz\x1b[31m") == 2
    error = capsys.readouterr().err
    assert "there are front-door" in error
    assert "\x1b" not in error


def test_states_of_epochs_past_and_present(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = begin(connection, "gate")
    publish(finished, 2)
    finished.report(ended=True)
    silent = begin(connection, "gate")
    publish(silent, 3)
    expire_lease(connection, "gate")

    assert audit("--json") == 0
    (gate,) = read_json(capsys)["cameras"]
    assert gate["state"] == "killed"
    assert gate["epoch"] == silent.epoch
    assert gate["earlier_epochs"] == [{"epoch": finished.epoch, "state": "ended", "last_seq": 1}]

    begin(connection, "gate")
    assert audit("--json") == 0
    (gate,) = read_json(capsys)["cameras"]
    assert gate["state"] == "open"
    assert [(past["state"], past["last_seq"]) for past in gate["earlier_epochs"]] == [
        ("ended", 1),
        ("killed", 2),
    ]


def test_strange_things_in_the_broker_are_said_and_do_no_harm(
    audit: Any, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    make_traffic(connection, "front-door")
    keys = connection.keys
    connection.read("SADD", keys.cameras(0), "\x1b]0;owned\x07", b"\xff\xfe")
    assert audit() == 0
    said = capsys.readouterr().out
    assert "passed over 2 listed that cannot be a camera" in said
    assert "\x1b" not in said

    connection.read("SADD", keys.cameras(0), "worded", "text")
    connection.read("HSET", keys.ledger("worded"), "captured", "many")
    connection.read("SET", keys.ledger("text"), "no hash")
    assert audit() == 1
    said = capsys.readouterr().out
    assert "text: its ledger or its frames are not what facestream wrote" in said
    assert "worded: its ledger or its frames are not what facestream wrote" in said
    assert audit("--json") == 1
    assert read_json(capsys)["unreadable"] == ["text", "worded"]


def test_words_of_a_ledger_are_no_markup_and_steer_no_terminal(
    audit: Any,
    broker: EmbeddedBroker,
    prefix: str,
    connection: Connection,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_traffic(connection, "front-door")
    keys = connection.keys
    connection.read(
        "HSET", keys.ledger("front-door"), "state", "[/x]\x1b[2J", "src:[/y]", "0", "drop:[/z]", "1"
    )
    connection.read("HSET", keys.meta, "incarnation", "\x1b[2J[/me]")
    assert audit() == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    for word in ("[/x]?[2J", "[/z] 1", "incarnation ?[2J[/me]"):
        assert word in said
    with contextlib.closing(Observer(broker.url, prefix=prefix)) as observer:
        screen = Console(file=io.StringIO(), force_terminal=True, color_system=None)
        screen.print(drawn(examine(observer)))
    assert isinstance(screen.file, io.StringIO)
    assert "\x1b[2J" not in screen.file.getvalue()


def test_a_full_broker_can_still_be_audited(
    prefix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedBroker(16 << 20) as small:
        connection = Connection(small.url, prefix=prefix)
        make_traffic(connection, "front-door")
        for size in (1 << 20, 1 << 12, 1):
            _fill(connection, size)
        monkeypatch.setenv("FACESTREAM_PREFIX", prefix)
        assert run_audit("--redis", small.url, "--json") == 0
        assert read_json(capsys)["all"]["captured"] == 6
        connection.close()


def _fill(connection: Connection, size: int) -> None:
    """With values of so many bytes, until no other fits."""
    with contextlib.suppress(BusFull):
        for number in itertools.count():
            connection.read("SET", f"filler:{size}:{number}", b"x" * size)


def test_no_broker_is_one_line_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_audit("--redis", "redis://me:hunter2@127.0.0.1:1/0") == 75
    error = capsys.readouterr().err
    assert error.startswith("facestream: no broker answers")
    assert error.count("\n") == 1
    assert "hunter2" not in error

    assert run_audit() == 2
    assert "--redis" in capsys.readouterr().err


def test_the_overview_counts_workers_and_what_they_hold(connection: Connection) -> None:
    publish(begin(connection, "gate"), 5)
    busy, dead = worker(connection, "busy"), worker(connection, "dead")
    finished = take(busy)
    busy.commit([result_of(finished[0])])
    take(busy)
    take(dead)
    declare_dead(connection, "dead")
    connection.read("ZADD", connection.keys.workers(0), 1e15, "no\nworker")

    overview = read_overview(connection)

    assert overview.in_hand == {"busy": 1, "dead": 1}
    assert overview.alive == {"busy"}
    assert (overview.results, overview.rejects, overview.orphans, overview.skipped) == (1, 0, 0, 1)
    assert 0 < overview.used_bytes < overview.max_bytes
