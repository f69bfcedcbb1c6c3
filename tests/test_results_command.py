"""`facestream results`: a table for people, JSON Lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import signal

import msgpack
import pytest

from facestream import Result, ResultReader
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.commands.app import build_app, run
from facestream.commands.results_format import Table, parse_since
from facestream.contract import unpack_result
from facestream.errors import UsageError
from support import bus
from support.processes import facestream, started
from support.results import Studio


@pytest.fixture
def studio(broker: EmbeddedBroker, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url)
    monkeypatch.setenv("FACESTREAM_PREFIX", connection.keys.prefix)
    return Studio(connection)


def shown(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(build_app(), ["results", *arguments]) == 0
    output = capfd.readouterr()
    assert output.err == ""
    return output.out


def test_a_pipe_gets_what_the_contract_says(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.shoot("lobby")
    studio.shoot("hall", 2)
    lines = [json.loads(line) for line in shown(capfd).splitlines()]
    assert [(result["camera"], result["seq"]) for result in lines] == [("lobby", 0), ("hall", 0), ("hall", 1)]
    assert lines[0]["faces"][0]["attributes"]["gender"] == {"label": "female", "score": 0.97}
    assert [json.loads(line)["camera"] for line in shown(capfd, "--camera", "lobby").splitlines()] == [
        "lobby"
    ]


def test_a_table_says_that_it_is_apparent(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.shoot("lobby")
    head, line = shown(capfd, "--table").splitlines()
    assert "apparent gender and age" in head
    assert line.startswith("11-")
    assert line.split()[2:] == ["lobby", "0", "1", "ms", "1", "female", "0.97", "32y"]


def test_a_csv_has_one_row_a_face(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.shoot("lobby", 2)
    rows = list(csv.DictReader(io.StringIO(shown(capfd, "--csv"))))
    assert [row["seq"] for row in rows] == ["0", "1"]
    assert (rows[0]["apparent_gender"], rows[0]["apparent_age"]) == ("female", "31.5")
    assert [rows[0][name] for name in ("x", "y", "width", "height", "face")] == [
        "10.0",
        "20.0",
        "30.0",
        "40.0",
        "0",
    ]


def test_a_group_goes_on_where_it_was(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.shoot(count=2)
    assert len(shown(capfd, "--group", "g").splitlines()) == 2
    studio.shoot()
    assert [json.loads(line)["seq"] for line in shown(capfd, "--group", "g").splitlines()] == [2]


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    """For a command in a process of its own."""
    return {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}


def test_following_ends_at_a_signal_with_all_of_it_done(
    studio: Studio, connection: Connection, environment: dict[str, str]
) -> None:
    with started("results", "--follow", "--group", "g", environment=environment) as following:
        bus.wait_until(lambda: groups(connection) == ["g"], "the group is founded")
        studio.shoot("lobby", 3)
        bus.wait_until(lambda: len(following.out.splitlines()) == 3, "they are shown")
        following.signal(signal.SIGTERM)
        ended = following.end()
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [0, 1, 2]
    assert (ended.status, ended.err) == (0, "")
    [group] = connection.read("XINFO GROUPS", connection.keys.results(0))
    assert (group["consumers"], group["pending"]) == (0, 0)


def groups(connection: Connection) -> list[str]:
    if not connection.read("EXISTS", connection.keys.results(0)):
        return []
    return [group["name"].decode() for group in connection.read("XINFO GROUPS", connection.keys.results(0))]


def test_what_was_removed_is_told_on_stderr(studio: Studio, environment: dict[str, str]) -> None:
    studio.shoot(count=5)
    facestream("results", "--group", "g", environment=environment)
    studio.shoot(count=9)
    studio.trim(3)
    ended = facestream("results", "--group", "g", environment=environment)
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [11, 12, 13]
    [line] = ended.said
    assert line.startswith("facestream: missed 6 results of partition 0 between")
    assert ended.status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--json", "--csv"], 2, "one of --table, --json and --csv"),
        (["--since", "yesterday"], 2, "--since 'yesterday': 90s, 10m"),
        (["--camera", "No!"], 2, "is not a camera name"),
        (["--group", "a b"], 2, "group='a b'"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    studio: Studio, capfd: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    assert run(build_app(), ["results", *arguments]) == status
    [line] = capfd.readouterr().err.splitlines()
    assert said in line


def test_a_broker_that_nobody_has_used(
    broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url)
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)
    assert run(build_app(), ["results"]) == 75
    assert "nothing was published at this broker yet" in capfd.readouterr().err


def test_labels_from_the_broker_steer_no_terminal(
    studio: Studio, broker: EmbeddedBroker, connection: Connection
) -> None:
    studio.shoot()
    [result] = ResultReader(broker.url, prefix=connection.keys.prefix, start="earliest").read()
    assert isinstance(result, Result)
    result.raw["faces"][0]["attributes"]["gender"] = {"label": "\x1b[2Jfemale\n", "score": 1.0}
    [line] = Table().lines(result)
    assert line.isprintable()


def test_since_is_a_time_or_how_long_ago() -> None:
    assert str(parse_since("90s")) == "0:01:30"
    assert str(parse_since("2026-11-27T18:00")) == "2026-11-27 18:00:00"
    with pytest.raises(UsageError, match="10m"):
        parse_since("10 minutes")


def test_what_json_has_no_word_for_ends_nothing(
    studio: Studio, connection: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.shoot()
    [[_, fields]] = connection.read("XRANGE", connection.keys.results(0), "-", "+")
    strange = unpack_result(fields[b"r"]) | {"seq": 7, "later": b"", "odd": float("nan")}
    connection.read("XADD", connection.keys.results(0), "*", "r", msgpack.packb(strange))
    lines = [json.loads(line) for line in shown(capfd, "--json").splitlines()]
    assert [(line["seq"], line.get("later"), line.get("odd")) for line in lines] == [
        (0, None, None),
        (7, None, None),
    ]
