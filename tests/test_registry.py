"""The registry on a real broker: what is kept where, writers that meet, strangers' keys, restarts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from facestream.address_policy import AddressPolicy
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.registry import LAPSE_SECONDS, Registry
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.errors import BusFull, BusRefused, CameraNameError, UsageError
from support.bus import relayed, running_server
from support.cluster import start_cluster
from support.kept_server import KeptServer

PASSWORD = "pZQX@/w"
LOBBY = CameraUrl.parse("rtsp://admin:pZQX%40%2Fw@10.0.0.7/live")
HALL = CameraUrl.parse("http://10.0.0.8/video?channel=1")


@pytest.fixture
def registry(broker: EmbeddedBroker, prefix: str) -> Iterator[Registry]:
    with Registry(broker.url, prefix=prefix) as registry:
        yield registry


def keys_of(connection: Connection, prefix: str) -> set[str]:
    return {key.decode() for key in connection.read("KEYS", f"{prefix}:*")} - {f"{prefix}:meta"}


def names(registry: Registry) -> list[str]:
    return [camera.name for camera in registry.list()]


# Cameras


def test_a_camera_is_added_changed_paused_and_removed(registry: Registry) -> None:
    assert registry.list() == []
    added = registry.add("lobby", LOBBY, CameraSettings(fps=5, max_age_ms=500))
    assert registry.get("lobby") == added
    assert added.address == "rtsp://***@10.0.0.7/live"
    assert added.has_credentials
    assert registry.reveal("lobby") == LOBBY

    registry.add("hall", HALL)
    assert names(registry) == ["hall", "lobby"]
    assert not registry.get("hall").has_credentials
    assert registry.reveal("hall") == HALL

    assert registry.pause("lobby").settings.paused
    assert registry.get("lobby").settings == CameraSettings(fps=5, max_age_ms=500, paused=True)
    assert not registry.resume("lobby").settings.paused
    changed = registry.change("lobby", settings={"fps": 2.5, "max_age": None})
    assert changed.settings == CameraSettings(fps=2.5)
    assert registry.reveal("lobby") == LOBBY
    assert registry.change("lobby", url=HALL).address == str(HALL)
    assert registry.reveal("lobby") == HALL
    assert registry.change("lobby", settings=CameraSettings()).settings == CameraSettings()

    assert registry.remove("lobby")
    assert not registry.remove("lobby")
    assert names(registry) == ["hall"]


def test_credentials_lie_apart_and_go_with_their_camera(
    registry: Registry, connection: Connection, prefix: str
) -> None:
    registry.add("lobby", LOBBY)
    registry.report_state("lobby", CameraState("live", 1))
    secret = f"{prefix}:secrets:lobby"
    assert keys_of(connection, prefix) == {f"{prefix}:cameras", f"{prefix}:camera-states", secret}
    assert b"ZQX" not in b"".join(connection.read("HGETALL", f"{prefix}:cameras").values())
    assert connection.read("HLEN", secret) == 1

    other = CameraUrl.parse("rtsp://admin:other@10.0.0.7/live")
    registry.change("lobby", url=other)
    assert [value.decode() for value in connection.read("HVALS", secret)] == [other.reveal()]
    registry.change("lobby", url=HALL)
    assert connection.read("EXISTS", secret) == 0
    registry.change("lobby", url=LOBBY)
    registry.remove("lobby")
    assert keys_of(connection, prefix) == {f"{prefix}:cameras"}


def test_removing_finishes_what_broke_off(registry: Registry, connection: Connection, prefix: str) -> None:
    connection.read("HSET", f"{prefix}:secrets:lobby", "0123456789abcdef", LOBBY.reveal())
    assert not registry.remove("lobby")
    assert keys_of(connection, prefix) == set()


def test_what_cannot_be_done_is_said_in_one_line(
    registry: Registry, connection: Connection, prefix: str
) -> None:
    registry.add("lobby", LOBBY)
    acts: list[tuple[Callable[[], object], str]] = [
        (lambda: registry.add("lobby", HALL), "lobby is there already"),
        (lambda: registry.get("attic"), "no camera is called attic"),
        (lambda: registry.change("attic", url=HALL), "no camera is called attic"),
        (lambda: registry.change("lobby", settings={"fbs": 5}), "did you mean fps?"),
        (lambda: registry.report_state("Attic!", CameraState("live", 1)), "is not a camera name"),
        (lambda: registry.beat("a b"), "no producer's name"),
    ]
    for act, says in acts:
        with pytest.raises(UsageError, match=says):
            act()
    with pytest.raises(CameraNameError):
        registry.add("Lobby", HALL)
    assert registry.reveal("lobby") == LOBBY
    assert connection.read("HLEN", f"{prefix}:secrets:lobby") == 1

    connection.read("DEL", f"{prefix}:secrets:lobby")
    with pytest.raises(UsageError, match="credentials of camera lobby are gone"):
        registry.reveal("lobby")


def test_the_revision_grows_with_every_change_and_with_nothing_else(registry: Registry) -> None:
    seen = [registry.revision()]
    assert seen == [0]
    changes: list[Callable[[], object]] = [
        lambda: registry.add("lobby", LOBBY),
        lambda: registry.change("lobby", settings={"fps": 5}),
        lambda: registry.change("lobby", url=LOBBY),
        lambda: registry.pause("lobby"),
        lambda: registry.remove("lobby"),
        lambda: registry.add("lobby", LOBBY),
    ]
    for change in changes:
        change()
        seen.append(registry.revision())
    assert seen == sorted(set(seen))

    registry.change("lobby", settings={})
    registry.resume("lobby")
    registry.remove("attic")
    registry.report_state("lobby", CameraState("live", 1))
    registry.beat("p1")
    with pytest.raises(UsageError):
        registry.add("lobby", HALL)
    assert registry.revision() == seen[-1]


def test_the_revision_grows_even_when_the_broker_lost_it(
    registry: Registry, connection: Connection, prefix: str
) -> None:
    registry.add("lobby", LOBBY)
    before = registry.revision()
    connection.read("DEL", f"{prefix}:cameras")
    registry.add("lobby", LOBBY)
    assert registry.revision() > before


def test_what_may_be_reached_is_the_word_of_who_asks(broker: EmbeddedBroker, prefix: str) -> None:
    allowed = AddressPolicy(allow_loopback=True)
    with (
        Registry(broker.url, prefix=prefix, policy=allowed) as theirs,
        Registry(broker.url, prefix=prefix) as ours,
    ):
        theirs.add("local", CameraUrl.parse("rtsp://u:ZQX@127.0.0.1:8554/x", allowed))
        theirs.add("plain", CameraUrl.parse("http://localhost/x", allowed))
        assert theirs.reveal("local").host == "127.0.0.1"
        for name in ("local", "plain"):
            with pytest.raises(UsageError, match="ALLOW_LOOPBACK") as refusal:
                ours.reveal(name)
            assert "ZQX" not in str(refusal.value)


# Writers that meet, replies that are lost


def test_writers_that_meet_lose_nothing(broker: EmbeddedBroker, prefix: str, connection: Connection) -> None:
    keys = ["fps", "max_side", "quality", "motion_gate"]
    values = [list(range(1, 21)), list(range(100, 120)), list(range(20, 40)), [True, False] * 10]
    with Registry(broker.url, prefix=prefix) as first:
        first.add("lobby", LOBBY)

    def write(key: str, series: list[object]) -> None:
        with Registry(broker.url, prefix=prefix) as registry:
            for number, value in enumerate(series):
                url = CameraUrl.parse(f"rtsp://u:{key}{number}@10.0.0.7/") if number % 5 == 4 else None
                registry.change("lobby", url=url, settings={key: value})
                assert registry.reveal("lobby").host == "10.0.0.7"

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, keys, values))
    with Registry(broker.url, prefix=prefix) as registry:
        camera = registry.get("lobby").settings
        assert [camera.fps, camera.max_side, camera.quality, camera.motion_gate] == [20, 119, 39, False]
        assert connection.read("HLEN", f"{prefix}:secrets:lobby") == 1


def test_of_many_who_add_one_camera_one_does(
    broker: EmbeddedBroker, prefix: str, connection: Connection
) -> None:
    barrier = threading.Barrier(4)

    def add(number: int) -> bool:
        with Registry(broker.url, prefix=prefix) as registry:
            barrier.wait()
            try:
                registry.add("lobby", CameraUrl.parse(f"rtsp://u:p{number}@10.0.0.7/"))
            except UsageError:
                return False
            return True

    with ThreadPoolExecutor() as pool:
        added = list(pool.map(add, range(4)))
    assert sum(added) == 1
    with Registry(broker.url, prefix=prefix) as registry:
        assert registry.reveal("lobby").reveal() == f"rtsp://u:p{added.index(True)}@10.0.0.7/"
    assert connection.read("HLEN", f"{prefix}:secrets:lobby") == 1


def test_a_lost_reply_changes_nothing(broker: EmbeddedBroker, prefix: str, connection: Connection) -> None:
    with relayed(broker.url) as relay, Registry(relay.url, prefix=prefix) as registry:
        for act in (
            lambda: registry.add("lobby", LOBBY, CameraSettings(fps=5)),
            lambda: registry.change("lobby", settings={"fps": 6}),
            lambda: registry.change("lobby", url=LOBBY),
            lambda: registry.beat("p1"),
            lambda: registry.report_state("lobby", CameraState("live", 1)),
        ):
            relay.lose = 1
            act()
        assert relay.lost == 5
        assert registry.get("lobby").settings.fps == 6
        assert registry.reveal("lobby") == LOBBY
        assert connection.read("HLEN", f"{prefix}:secrets:lobby") == 1
        assert registry.alive() == ["p1"]
        relay.lose = 3
        assert registry.remove("lobby")
        assert keys_of(connection, prefix) == {f"{prefix}:cameras", f"{prefix}:producers"}


# States and producers


def test_states_are_kept_by_camera(registry: Registry) -> None:
    live, lost = (
        CameraState("live", 5, None, "p1"),
        CameraState("failed", 6, "rtsp://u:ZQX@h/: no route", "p2"),
    )
    registry.report_state("lobby", live)
    registry.report_state("hall", lost)
    assert registry.states() == {"lobby": live, "hall": lost}
    assert "ZQX" not in repr(registry.states())
    registry.forget_state("hall")
    assert registry.states() == {"lobby": live}


def test_a_producer_is_alive_until_it_leaves_or_lapses(
    registry: Registry, connection: Connection, prefix: str
) -> None:
    assert registry.alive() == []
    assert registry.beat("p2") == ["p2"]
    assert registry.beat("host:7@a") == ["host:7@a", "p2"]
    registry.leave("p2")
    assert registry.alive() == ["host:7@a"]
    [seconds, _] = connection.read("TIME")
    lapsed_ms = int(seconds) * 1000 - round(LAPSE_SECONDS * 1000) - 1000
    connection.read("ZADD", f"{prefix}:producers", lapsed_ms, "host:7@a")
    assert registry.alive() == []
    assert registry.beat("host:7@a") == ["host:7@a"]


def test_the_full_broker_takes_states_and_heartbeats_and_says_so_of_the_rest(prefix: str) -> None:
    limits = ("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    with running_server(*limits) as url, Registry(url, prefix=prefix) as registry:
        registry.add("lobby", LOBBY)
        registry.add("hall", HALL)
        filler = Connection(url, prefix=prefix)
        fill(filler)
        with pytest.raises(BusFull):
            registry.add("attic", LOBBY)
        with pytest.raises(BusFull):
            registry.pause("lobby")
        assert registry.beat("p1") == ["p1"]
        registry.report_state("lobby", CameraState("live", 1))
        assert registry.states() == {"lobby": CameraState("live", 1)}
        assert registry.remove("lobby")
        assert names(registry) == ["hall"]
        filler.close()


def fill(connection: Connection) -> None:
    """To the last byte: large values first, then small ones."""
    for size in (100_000, 1_000, 10, 1):
        with pytest.raises(BusFull):
            fill_with(connection, size)


def fill_with(connection: Connection, size: int) -> None:
    for number in range(10_000):
        connection.read("SET", f"filler:{size}:{number}", b"x" * size)


# Strangers


def test_strange_entries_are_passed_over_and_counted(
    registry: Registry, connection: Connection, prefix: str
) -> None:
    registry.add("lobby", LOBBY)
    entry = json.loads(connection.read("HGET", f"{prefix}:cameras", "lobby"))
    strange: dict[str | bytes, str | bytes] = {
        "a1": b"",
        "a2": b"\xff\xfe",
        "a3": "[]",
        "a4": "null",
        "a5": "{}",
        "a6": json.dumps(entry | {"v": 2}),
        "a7": json.dumps(entry | {"address": 5}),
        "a8": json.dumps(entry | {"secret": "../../x"}),
        "a9": json.dumps(entry | {"settings": {"fps": "many"}}),
        "b1": json.dumps(entry | {"settings": []}),
        "b2": json.dumps(entry | {"address": "rtsp://h/\x1b[2J"}),
        "b3": "[" * 60_000,
        "b4": b"x" * 70_000,
        "Not A Name": json.dumps(entry),
        b"\xff": json.dumps(entry),
        "x" * 5000: json.dumps(entry),
    }
    for field, value in strange.items():
        connection.read("HSET", f"{prefix}:cameras", field, value)
    later = entry | {"secret": None, "address": "rtsp://h/", "settings": {"fps": 5, "hologram": True}}
    connection.read("HSET", f"{prefix}:cameras", "later", json.dumps(later))

    assert names(registry) == ["later", "lobby"]
    assert registry.skipped == len(strange)
    assert registry.get("later").settings == CameraSettings(fps=5)
    with pytest.raises(UsageError, match="no camera of this release"):
        registry.get("b4")
    with pytest.raises(UsageError, match="there already"):
        registry.add("b4", HALL)
    assert registry.remove("b4")
    registry.add("b4", HALL)
    assert registry.get("b4").address == str(HALL)

    for field, value in strange.items():
        connection.read("HSET", f"{prefix}:camera-states", field, value)
    assert registry.states() == {}
    assert registry.skipped == len(strange)
    connection.read("HSET", f"{prefix}:secrets:lobby", entry["secret"], b"\xff ZQX")
    with pytest.raises(UsageError) as refusal:
        registry.reveal("lobby")
    assert "ZQX" not in str(refusal.value)


@pytest.mark.parametrize("revision", ["", "x", "-5", "nan", "inf", "1e400", "9" * 30, "0.5"])
def test_a_strange_revision_does_not_stop_anybody(
    registry: Registry, connection: Connection, prefix: str, revision: str
) -> None:
    connection.read("HSET", f"{prefix}:cameras", ":revision", revision)
    before = registry.revision()
    registry.add("lobby", LOBBY)
    assert registry.revision() != before
    assert registry.revision() > 1_600_000_000_000_000


def test_keys_of_another_kind_are_named(registry: Registry, connection: Connection, prefix: str) -> None:
    for key in ("cameras", "camera-states", "producers", "secrets:lobby"):
        connection.read("SET", f"{prefix}:{key}", "somebody's")
    assert registry.list() == []
    assert registry.skipped == 1
    assert registry.states() == {}
    assert registry.revision() == 0
    assert registry.alive() == []
    for act in (
        lambda: registry.add("hall", HALL),
        lambda: registry.add("lobby", LOBBY),
        lambda: registry.report_state("hall", CameraState("live", 1)),
        lambda: registry.beat("p1"),
        lambda: registry.leave("p1"),
    ):
        with pytest.raises(BusRefused, match="holds something else under"):
            act()


def test_strange_producers_are_not_alive(registry: Registry, connection: Connection, prefix: str) -> None:
    key = f"{prefix}:producers"
    registry.beat("p1")
    [seconds, _] = connection.read("TIME")
    connection.read("ZADD", key, int(seconds) * 1000, b"\xff bad\n", 9e18, "eternal", "+inf", "forever")
    assert registry.alive() == ["p1"]
    registry.beat("p1")
    assert connection.read("ZCARD", key) == 2


# Brokers


def test_the_registry_survives_a_restart_of_its_broker() -> None:
    with KeptServer() as server, Registry(server.url) as registry:
        registry.add("lobby", LOBBY, CameraSettings(fps=5))
        registry.add("hall", HALL)
        registry.remove("hall")
        revision, cameras = registry.revision(), registry.list()
        server.restart()
        assert registry.list() == cameras
        assert registry.reveal("lobby") == LOBBY
        assert registry.revision() == revision


def test_the_registry_works_in_a_cluster() -> None:
    with start_cluster(3) as cluster, Registry(cluster.url) as registry:
        for number in range(6):
            url = CameraUrl.parse(f"rtsp://u:pw{number}@10.0.0.{number}/")
            registry.add(f"cam{number}", url, CameraSettings(fps=number + 1))
            registry.report_state(f"cam{number}", CameraState("live", number))
        assert registry.beat("p1") == ["p1"]
        registry.pause("cam3")
        assert registry.remove("cam0")
        assert names(registry) == [f"cam{number}" for number in range(1, 6)]
        assert [registry.reveal(f"cam{n}").reveal() for n in range(1, 6)] == [
            f"rtsp://u:pw{n}@10.0.0.{n}/" for n in range(1, 6)
        ]
        assert set(registry.states()) == set(names(registry))
        assert registry.revision() > 0


def test_a_user_without_the_right_to_credentials_sees_the_rest(prefix: str) -> None:
    with running_server() as url, Registry(url, prefix=prefix) as registry:
        registry.add("lobby", LOBBY)
        admin = Connection(url, prefix=prefix)
        kept = [f"%R~{prefix}:{key}" for key in ("cameras", "camera-states", "producers")]
        rules = ["on", ">viewer-password", *kept, "+@all"]
        admin.read("ACL", "SETUSER", "viewer", *rules)
        admin.close()
        path = url.removeprefix("unix://")
        with Registry(f"unix://viewer:viewer-password@{path}", prefix=prefix) as viewer:
            assert names(viewer) == ["lobby"]
            assert viewer.revision() > 0
            assert (viewer.states(), viewer.alive()) == ({}, [])
            with pytest.raises(BusRefused) as refusal:
                viewer.reveal("lobby")
            with pytest.raises(BusRefused):
                viewer.pause("lobby")
        assert "viewer-password" not in str(refusal.value)


def test_hundreds_of_cameras_are_listed_once_each(registry: Registry) -> None:
    wanted = [f"cam-{number:03d}" for number in range(300)]
    for name in wanted:
        registry.add(name, HALL)
    assert names(registry) == wanted
    assert registry.skipped == 0
