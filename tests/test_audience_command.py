"""`facestream audience`: minutes that a tracker has published, shown and followed."""

from __future__ import annotations

import json

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.commands.app import build_app, run
from facestream.contract import AudienceMap, pack_audience
from support.bus import wait_until
from support.processes import started

MINUTE_US = 60_000_000


def minute(number: int, camera: str = "lobby", revision: int = 1, people: int | None = 3) -> AudienceMap:
    return {
        "v": 1, "camera": camera, "minute_us": number * MINUTE_US, "revision": revision,
        "final": revision % 2 == 1, "people": people, "labels": {"female": 1, "male": 2, "unknown": 0},
        "left": 2, "left_labels": None, "present_s": {"median": 12.4, "p90": 40.0},
        "lines": {"door": {"entries": 2, "exits": None}}, "no_data": 0.25, "withheld": people is None,
    }  # fmt: skip


def say(connection: Connection, *minutes: AudienceMap) -> None:
    for each in minutes:
        connection.read("XADD", connection.keys.audience(0), "*", "r", pack_audience(each))


@pytest.fixture(autouse=True)
def _broker(broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url)
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)
    monkeypatch.setenv("TZ", "UTC")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(build_app(), ["audience", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_newest_words_of_each_minute(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    say(connection, minute(5, revision=0, people=9), minute(5), minute(6, revision=0), minute(5, revision=0))
    head, fifth, sixth = shown(capsys)
    assert head.split()[:3] == ["minute", "camera", "people"]
    assert " ".join(fifth.split()[2:]) == "lobby 3 1 / 2 / 0 2 12, 40 25% door +2 --"
    assert sixth.endswith("(may change)")


def test_some_minutes_of_some_cameras(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    say(connection, *(minute(n, camera) for camera in ("lobby", "hall") for n in range(700)))
    assert len(shown(capsys)) == 1 + 2 * 15
    some = [json.loads(line) for line in shown(capsys, "hall", "--last", "600", "--json")]
    assert [each["minute_us"] // MINUTE_US for each in some] == list(range(100, 700))
    assert {each["camera"] for each in some} == {"hall"}


def test_what_is_withheld_is_a_dash(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    say(connection, minute(5, people=None))
    assert shown(capsys)[1].split()[3] == "-"


def test_before_anything_was_counted(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["audience"]) == 0
    assert "is `facestream tracker` running?" in capsys.readouterr().err
    assert run(build_app(), ["audience", "No Camera"]) == 2


def test_following(connection: Connection, broker: EmbeddedBroker, prefix: str) -> None:
    environment = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}
    say(connection, minute(5))
    with started("audience", "--follow", "--json", environment=environment) as running:
        wait_until(lambda: len(running.out.splitlines()) == 1, "what there is")
        say(connection, minute(6))
        wait_until(lambda: len(running.out.splitlines()) == 2, "what comes")
        running.signal(2)
        assert running.end().status == 0


def test_what_a_stranger_wrote_steers_no_terminal_and_ends_nothing(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    passed = {"\x1b[2Jdoor": {"entries": 1, "exits": 0}}
    say(connection, {**minute(5), "lines": passed, "later": b""})  # type: ignore[typeddict-unknown-key]
    assert shown(capsys)[1].endswith("?[2Jdoor +1 -0")
    [line] = shown(capsys, "--json")
    assert json.loads(line)["later"] is None
