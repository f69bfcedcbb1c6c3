"""The embedded broker: private, bounded, and gone with its owner however that dies."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from facestream.broker import MAX_SOCKET_PATH, EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.errors import BusUnavailable
from support.bus import is_gone, wait_until

OWNER = """
import sys, signal
from facestream.broker import EmbeddedBroker
from facestream.signals import stop_on_signals

if sys.argv[1] == "heedless":
    broker = EmbeddedBroker()
    print(broker.url, flush=True)
    signal.pause()
with stop_on_signals() as stop, EmbeddedBroker() as broker:
    print(broker.url, flush=True)
    stop.wait()
"""


def folder_of(broker_url: str) -> Path:
    return Path(broker_url.removeprefix("unix://")).parent


def settings_of(connection: Connection) -> dict[str, str]:
    said = [text.decode() for text in connection.read("CONFIG", "GET", "*")]
    return dict(zip(said[::2], said[1::2], strict=True))


@pytest.fixture
def connected(broker: EmbeddedBroker, prefix: str) -> Iterator[Connection]:
    connection = Connection(broker.url, prefix=prefix)
    yield connection
    connection.close()


def test_only_its_owner_can_reach_it(broker: EmbeddedBroker) -> None:
    folder = folder_of(broker.url)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()
    assert stat.S_IMODE((folder / "broker.sock").stat().st_mode) == 0o700


def test_it_has_no_port_no_file_and_does_not_evict(broker: EmbeddedBroker, connected: Connection) -> None:
    said = settings_of(connected)
    assert said["port"] == "0"
    assert said["save"] == ""
    assert said["appendonly"] == "no"
    assert said["maxmemory-policy"] == "noeviction"
    assert int(said["maxmemory"]) == 512 << 20
    server = psutil.Process(connected.read("INFO", "server")["process_id"])
    listening = [line for line in server.net_connections("inet") if line.status == psutil.CONN_LISTEN]
    assert listening == []
    connected.read("SET", f"{connected.keys.prefix}:x", b"PICTURE")
    assert {path.name for path in folder_of(broker.url).iterdir()} == {"broker.sock", "broker.log"}


def test_its_memory_is_bounded_as_asked() -> None:
    with EmbeddedBroker(max_memory_bytes=20 << 20) as broker:
        connection = Connection(broker.url)
        assert settings_of(connection)["maxmemory"] == str(20 << 20)
        connection.close()


def test_closing_it_leaves_nothing(prefix: str) -> None:
    with EmbeddedBroker() as broker:
        connection = Connection(broker.url, prefix=prefix)
        server = connection.read("INFO", "server")["process_id"]
        assert broker.is_alive()
        connection.close()
    assert not broker.is_alive()
    assert is_gone(server)
    assert not folder_of(broker.url).exists()
    broker.close()


def test_two_brokers_are_two(prefix: str) -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.url != other.url
        connection = Connection(one.url, prefix=prefix)
        connection.read("SET", f"{prefix}:x", 1)
        stranger = Connection(other.url, prefix=prefix)
        assert stranger.read("EXISTS", f"{prefix}:x") == 0
        for each in (connection, stranger):
            each.close()


def test_a_server_that_dies_is_noticed_and_leaves_nothing(prefix: str) -> None:
    broker = EmbeddedBroker()
    connection = Connection(broker.url, prefix=prefix)
    os.kill(connection.read("INFO", "server")["process_id"], signal.SIGKILL)
    wait_until(lambda: not broker.is_alive(), "the broker's end is noticed")
    assert not folder_of(broker.url).exists()
    with pytest.raises(BusUnavailable, match="no broker answers"):
        connection.read("PING")
    connection.close()
    broker.close()


def test_a_memory_it_cannot_have_is_refused_in_one_line() -> None:
    with pytest.raises(BusUnavailable, match="did not start") as refusal:
        EmbeddedBroker(max_memory_bytes=-1)
    assert "\n" not in str(refusal.value)
    assert "--redis" in str(refusal.value)


def test_a_temporary_folder_of_a_long_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path has room for about a hundred bytes."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with EmbeddedBroker() as broker:
        assert len(broker.url.removeprefix("unix://").encode()) <= MAX_SOCKET_PATH
        assert stat.S_IMODE(folder_of(broker.url).stat().st_mode) == 0o700
    assert list(deep.iterdir()) == []


def test_where_there_is_no_server_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> Path:
        raise BusUnavailable("no embedded broker for this machine")

    monkeypatch.setattr("facestream.broker.server_binary", absent)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BusUnavailable, match="no embedded broker"):
        EmbeddedBroker()
    assert list(tmp_path.iterdir()) == []


# Its owner's end


@pytest.fixture
def start_owner() -> Iterator[Callable[[str], tuple[subprocess.Popen[str], Path, list[int]]]]:
    """Starts a process that owns a broker: the process, the broker's folder, all processes under it."""
    owners: list[subprocess.Popen[str]] = []

    def start(kind: str) -> tuple[subprocess.Popen[str], Path, list[int]]:
        owner = subprocess.Popen([sys.executable, "-c", OWNER, kind], stdout=subprocess.PIPE, text=True)
        owners.append(owner)
        assert owner.stdout is not None
        folder = folder_of(owner.stdout.readline().strip())
        children = [child.pid for child in psutil.Process(owner.pid).children(recursive=True)]
        assert len(children) == 2, "the server and its watch"
        assert (folder / "broker.sock").exists()
        return owner, folder, children

    yield start
    for owner in owners:
        owner.kill()
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("heedful", signal.SIGTERM),
        ("heedful", signal.SIGINT),
        ("heedless", signal.SIGTERM),
        ("heedless", signal.SIGKILL),
        ("heedless", signal.SIGHUP),
    ],
)
def test_it_ends_with_its_owner(
    start_owner: Callable[[str], tuple[subprocess.Popen[str], Path, list[int]]], kind: str, number: int
) -> None:
    owner, folder, children = start_owner(kind)
    owner.send_signal(number)
    owner.wait()
    wait_until(lambda: all(map(is_gone, children)), "the server and its watch are gone")
    assert not folder.exists()


def test_ctrl_c_at_the_terminal_does_not_end_it_before_its_owner(
    start_owner: Callable[[str], tuple[subprocess.Popen[str], Path, list[int]]],
) -> None:
    """The terminal signals the whole group: the broker must outlast the frames still in hand."""
    owner, _, children = start_owner("heedless")
    groups = {os.getpgid(child) for child in children}
    assert os.getpgid(owner.pid) not in groups


def test_children_of_the_owner_do_not_keep_it(
    start_owner: Callable[[str], tuple[subprocess.Popen[str], Path, list[int]]],
) -> None:
    """Nothing but the owner holds the other end of the watch's pipe."""
    _, _, (first, second) = start_owner("heedless")
    other, _, _ = start_owner("heedless")
    assert not is_gone(first)
    assert not is_gone(second)
    other.kill()
    other.wait()
    assert not is_gone(first)
    assert not is_gone(second)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_watchdog_takes_the_server_with_it() -> None:
    with EmbeddedBroker() as broker:
        [server] = psutil.Process(broker._watch.pid).children()
        broker._watch.kill()
        wait_until(lambda: is_gone(server.pid), "the server ended")
