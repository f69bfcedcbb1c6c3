"""Producers that share the registry's cameras: real processes, a real camera server, a real broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facestream.address_policy import AddressPolicy
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger, read_ledgers
from facestream.bus.overview import read_standings
from facestream.bus.registry import Registry
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.commands.ps import list_producers
from facestream.cores import usable_cores
from facestream_producer.registered import divided, usual_processes
from support.bus import is_gone, wait_until
from support.clips import make_clip
from support.processes import assert_no_traceback, facestream, started
from support.rtsp import RtspServer, aio_server

ANYWHERE = AddressPolicy(allow_loopback=True)
CAMERAS = ["c1", "c2", "c3", "c4"]
# A killed producer's lease runs out after 5 s, and the others look every half second.
TAKEOVER_SECONDS = 10.0

TWO = ("producer", "--processes", 2)

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def camera_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    with aio_server(tmp_path_factory.mktemp("rtsp")) as server:
        yield server


@pytest.fixture
def registry(broker: EmbeddedBroker, prefix: str) -> Iterator[Registry]:
    with Registry(broker.url, prefix=prefix, policy=ANYWHERE) as registry:
        yield registry


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    return {
        "FACESTREAM_REDIS": broker.url,
        "FACESTREAM_PREFIX": prefix,
        "FACESTREAM_ALLOW_LOOPBACK_CAMERAS": "true",
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start `facestream producer` on the registry, in one process; all are ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "facestream", "producer", "--processes", "1"]
        running.append(subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def add_cameras(registry: Registry, server: RtspServer, names: list[str]) -> None:
    for name in names:
        registry.add(name, CameraUrl.parse(server.url, ANYWHERE), CameraSettings(fps=5))


def holders(connection: Connection) -> dict[str, str]:
    """Who has which camera's epoch open."""
    standings = read_standings(connection, CAMERAS)
    return {camera: each.holder for camera, each in standings.items() if each.state == "open"}


def shares(connection: Connection) -> list[int]:
    held = list(holders(connection).values())
    return sorted(held.count(holder) for holder in set(held))


def published(connection: Connection) -> dict[str, int]:
    return {ledger.camera: ledger.published for ledger in read_ledgers(connection, CAMERAS)}


def test_cameras_are_shared_and_taken_over(
    connection: Connection, registry: Registry, camera_server: RtspServer, start: Start
) -> None:
    add_cameras(registry, camera_server, CAMERAS)
    first = start()
    wait_until(lambda: shares(connection) == [4], "one producer has all")
    wait_until(lambda: min(published(connection).values()) >= 3, "every camera sends")
    epochs = {ledger.camera: ledger.epoch for ledger in read_ledgers(connection, CAMERAS)}

    second = start()
    wait_until(lambda: shares(connection) == [2, 2], "the one that joined has its share")
    kept = {camera for camera, holder in holders(connection).items() if holder.endswith(f":{first.pid}")}
    assert all(read_ledger(connection, camera).epoch == epochs[camera] for camera in kept)

    first.kill()
    theirs = f":{second.pid}"
    wait_until(
        lambda: sum(holder.endswith(theirs) for holder in holders(connection).values()) == 4,
        "the other has the cameras of the killed one",
        TAKEOVER_SECONDS + 5,
    )
    before = published(connection)
    wait_until(lambda: all(published(connection)[c] > before[c] for c in CAMERAS), "every camera sends again")

    second.terminate()
    assert second.wait(20) == 0
    ledgers = read_ledgers(connection, CAMERAS)
    assert {ledger.state for ledger in ledgers} == {"ended"}
    assert all(ledger.closes for ledger in ledgers)
    # Five of twenty-five pictures a second were wanted; the others arrived, and are counted.
    assert all(ledger.dropped_at_source["fps_limit"] > ledger.published for ledger in ledgers)


def test_the_registry_is_followed_while_everything_runs(
    connection: Connection, registry: Registry, camera_server: RtspServer, start: Start
) -> None:
    add_cameras(registry, camera_server, ["c1", "c2"])
    start()
    wait_until(lambda: set(holders(connection)) == {"c1", "c2"}, "both are attached")
    undisturbed = read_ledger(connection, "c2").epoch

    registry.pause("c1")
    wait_until(lambda: set(holders(connection)) == {"c2"}, "the paused one is let go")
    wait_until(lambda: registry.states()["c1"].state == "paused", "its state is said")
    registry.resume("c1")
    wait_until(lambda: set(holders(connection)) == {"c1", "c2"}, "it is attached again")
    add_cameras(registry, camera_server, ["c3"])
    wait_until(lambda: "c3" in holders(connection), "a new one is attached")
    registry.remove("c1")
    wait_until(lambda: set(holders(connection)) == {"c2", "c3"}, "the removed one is let go")

    wait_until(lambda: registry.states()["c3"].state == "live", "the new one is live")
    assert read_ledger(connection, "c2").epoch == undisturbed
    assert "c1" not in registry.states()


def test_one_camera_that_cannot_be_reached_disturbs_no_other(
    connection: Connection, registry: Registry, camera_server: RtspServer, start: Start, tmp_path: Path
) -> None:
    add_cameras(registry, camera_server, ["c1"])
    registry.add("c2", CameraUrl.parse("rtsp://viewer:s3cret@127.0.0.1:1/x", ANYWHERE))
    start()
    wait_until(lambda: published(connection).get("c1", 0) >= 10, "the good one sends")
    wait_until(lambda: registry.states()["c2"].error is not None, "the trouble of the other is said")
    assert "s3cret" not in str(registry.states())
    assert "c2" in holders(connection), "its lease is kept while it is away"


def test_files_and_the_demo_scene_stand_in_for_cameras(
    connection: Connection, registry: Registry, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_SOURCE_FOLDERS", str(tmp_path))
    make_clip(tmp_path / "clip.mp4", frames=10, size=(64, 48))
    policy = AddressPolicy(folders=(tmp_path,))
    registry.add("c1", CameraUrl.parse(f"file:{tmp_path}/clip.mp4", policy))
    registry.add("c2", CameraUrl.parse("demo:", ANYWHERE), CameraSettings(fps=5))
    start()
    wait_until(lambda: published(connection).get("c1", 0) > 25, "the file is played over and over")
    wait_until(lambda: published(connection).get("c2", 0) > 3, "the scene is played")
    wait_until(lambda: {state.state for state in registry.states().values()} == {"live"}, "both are live")
    assert read_ledger(connection, "c2").dropped_at_source["fps_limit"] > 0


# In several processes


def test_one_producer_is_several_processes(
    connection: Connection, registry: Registry, camera_server: RtspServer, environment: dict[str, str]
) -> None:
    add_cameras(registry, camera_server, CAMERAS)
    with started(*TWO, "--metrics-port", 0, environment=environment) as running:
        first, second = running.wait_for_children(2, "producer")
        assert running.err.startswith("cameras registered: 4;")
        wait_until(lambda: shares(connection) == [2, 2], "each has its share")
        wait_until(lambda: min(published(connection).values()) >= 1, "every camera sends")
        # Not one was taken by a process that had to give it up again.
        assert all(standing.earlier == () for standing in read_standings(connection, CAMERAS).values())
        names = {producer["name"].partition(":")[2] for producer in list_producers(connection)}
        assert names == {str(first), str(second)}

        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "died (SIGKILL); restarting" in running.err, "it is said")
        gone = f":{first}"
        wait_until(
            lambda: not any(holder.endswith(gone) for holder in holders(connection).values()),
            "no camera is left with it",
            TAKEOVER_SECONDS + 5,
        )
        wait_until(lambda: shares(connection) == [2, 2], "its successor has its share")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert ended.status == 0
    assert_no_traceback(ended)
    ledgers = read_ledgers(connection, CAMERAS)
    assert {ledger.state for ledger in ledgers} == {"ended"}
    assert all(ledger.closes for ledger in ledgers)


def test_its_processes_end_with_it(
    connection: Connection, registry: Registry, camera_server: RtspServer, environment: dict[str, str]
) -> None:
    """`started` fails when one of the family is left."""
    with started(*TWO, environment=environment) as running:
        children = running.wait_for_children(2, "producer")
        assert running.err.startswith("no camera is registered: facestream cameras add NAME --url-file -")
        add_cameras(registry, camera_server, ["c1"])
        wait_until(lambda: published(connection).get("c1", 0) >= 1, "it sends")
        running.signal(signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, children)), "they follow it")
    assert read_ledger(connection, "c1").state == "ended"


def test_the_most_cameras_are_divided(
    connection: Connection, registry: Registry, camera_server: RtspServer, environment: dict[str, str]
) -> None:
    add_cameras(registry, camera_server, CAMERAS)
    with started(*TWO, "--max-cameras", 3, environment=environment):
        wait_until(lambda: shares(connection) == [1, 2], "three are held")
    assert divided(100, 3) == [34, 33, 33]
    assert divided(2, 4) == [1, 1]
    assert usual_processes(8) == 1
    assert usual_processes(10_000) == len(usable_cores())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--redis", "redis://127.0.0.1:1/0"], "no broker answers at redis://127.0.0.1:1/0"),
        (["demo:"], "--processes shares the registry's cameras: leave it out, or leave out the sources"),
    ],
)
def test_what_cannot_start_is_said_once(arguments: list[str], line: str) -> None:
    ended = facestream(*TWO, *arguments)
    assert_no_traceback(ended)
    assert ended.status in {2, 75}
    [said] = ended.err.splitlines()
    assert said.startswith(f"facestream: {line}")
