"""`facestream ps --prometheus-sd`: where real workers serve their metrics, and nothing that is no address."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.addresses import announce, is_address, read_addresses
from facestream.bus.connection import Connection
from facestream.errors import UsageError
from facestream.log import Log
from facestream.prometheus_targets import targets_of, write_targets
from facestream_worker.announcing import Announcing, address_of
from support.bus import declare_dead, wait_until, worker
from support.portraits import weights
from support.processes import facestream, metrics_at, port_of, started


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    return {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}


def test_prometheus_is_told_of_a_worker_while_it_lives(
    connection: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    weights()
    file = tmp_path / "workers.json"
    with started("worker", "--metrics-port", 0, environment=environment) as running:
        port = port_of(running)
        with started("ps", "--prometheus-sd", file, "--every", 1, environment=environment):
            wait_until(lambda: f"127.0.0.1:{port}" in read(file), "its address is written")
            [group] = json.loads(read(file))
            assert group["targets"] == [f"127.0.0.1:{port}"]
            name = group["labels"]["worker"]
            assert metrics_at(port)[f"facestream_worker_info{{version={version()}}}{{worker={name}}}"] == 1
            running.process.kill()
            declare_dead(connection, name)
            wait_until(lambda: json.loads(read(file)) == [], "it is written no more")
    assert oct(file.stat().st_mode & 0o777) == "0o644"
    assert [path.name for path in tmp_path.iterdir()] == ["workers.json"]


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def version() -> str:
    from facestream import __version__

    return __version__


def test_the_file_goes_to_standard_output_too(connection: Connection, environment: dict[str, str]) -> None:
    worker(connection, "here-1-ab")
    announce(connection, "here-1-ab", "10.0.0.7:9100")
    ended = facestream("ps", "--prometheus-sd", "-", environment=environment)
    assert json.loads(ended.out) == [{"targets": ["10.0.0.7:9100"], "labels": {"worker": "here-1-ab"}}]
    [shown] = json.loads(facestream("ps", "--json", environment=environment).out)["workers"]
    assert shown["metrics"] == "10.0.0.7:9100"
    assert "10.0.0.7:9100" in facestream("ps", environment=environment).out


def test_what_cannot_be_written_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    ended = facestream("ps", "--prometheus-sd", tmp_path / "no" / "file.json", environment=environment)
    assert ended.status == 2
    assert ended.said[0].startswith(f"facestream: cannot write {tmp_path}/no/file.json (No such file")
    ended = facestream("ps", "--every", 5, environment=environment)
    assert (ended.status, ended.said) == (
        2,
        ["facestream: --every goes with --prometheus-sd: say which file to write"],
    )
    with pytest.raises(UsageError, match="cannot write"):
        write_targets("[]", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_gone_is_forgotten(connection: Connection) -> None:
    for name in ("a", "b"):
        worker(connection, name)
        announce(connection, name, "127.0.0.1:9100")
    connection.read("ZREM", connection.keys.workers(0), "a")
    announce(connection, "b", "127.0.0.1:9101")
    assert read_addresses(connection, {"a", "b"}) == {"b": "127.0.0.1:9101"}
    assert connection.read("HLEN", connection.keys.about) == 1


@pytest.mark.parametrize(
    "address",
    ["", "9100", "host:0", "host:65536", "host:9100/x", "a b:1", "-x:1", "http://x:1", "x:1\n", "ü:1", ":1"]
    + ["user@host:1", "host:99999999999999999999", "h" * 130 + ":1"],
)
def test_what_is_no_address_is_left_out(connection: Connection, address: str) -> None:
    assert not is_address(address)
    worker(connection, "w")
    announce(connection, "w", address)
    assert read_addresses(connection, {"w"}) == {}


def test_another_program_s_key_is_refused_and_said_once(connection: Connection) -> None:
    connection.read("SET", connection.keys.about, "mine")
    stream = io.StringIO()
    announcing = Announcing(connection, "w", "127.0.0.1:9100", Log("worker", "w", stream=stream))
    announcing.turned()
    for _ in range(2):
        announcing.joined(False)
        announcing.turned()
        announcing.turned()
    [said] = stream.getvalue().splitlines()
    assert said.startswith("facestream ps cannot know where this worker's metrics are: the broker at ")
    assert read_addresses(connection, {"w"}) == {}


def test_an_address_of_a_machine_s_own_is_for_that_machine() -> None:
    addresses = {"here-1-ab": "127.0.0.1:1", "far-1-ab": "127.0.0.1:2", "far-2-cd": "10.0.0.7:3"}
    addresses |= {"far-3-ef": "[::1]:4", "here-x-5-gh": "localhost:5"}
    told = {group["labels"]["worker"] for group in json.loads(targets_of(addresses, "here"))}
    assert told == {"here-1-ab", "far-2-cd"}


def test_an_address_for_all_of_a_machine_stands_for_its_name() -> None:
    everywhere = "0.0.0.0"  # noqa: S104 (only named)
    assert address_of(everywhere, 9100) == address_of("::", 9100) == f"{socket.gethostname()}:9100"
    assert address_of("10.0.0.7", 9100) == "10.0.0.7:9100"
    assert address_of("fd00::7", 9100) == "[fd00::7]:9100"
    assert is_address(address_of("fd00::7", 9100))
