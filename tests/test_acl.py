"""The users of deploy/redis/users.acl on real servers: what each may do, and what it may not."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from facestream import ResultReader
from facestream.audit import audit
from facestream.bus.addresses import announce, read_addresses
from facestream.bus.connection import Connection
from facestream.bus.following import Following
from facestream.bus.ledger import settle
from facestream.bus.overview import Observer, read_overview, read_standings
from facestream.bus.probe import probe
from facestream.bus.registry import Registry
from facestream.bus.tail import tail_rejects, tail_results, tail_tracks
from facestream.bus.taker import Retention
from facestream.bus.tap import Tap, TapWriter
from facestream.bus.tracker_state import TrackerState
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream.commands.app import build_app, run
from facestream.contract import MAX_IMAGE_BYTES
from facestream.errors import BusError, BusRefused
from facestream.exporter import LedgerCollector
from facestream.exporter_cameras import CameraCollector
from facestream_tracker.hooks import Hooks
from facestream_tracker.lines import RegisteredLines
from facestream_tracker.loop import Loop, Wish
from facestream_tracker.partition import Partition
from support import bus
from support.certificates import Authority
from support.cluster import start_cluster
from support.processes import started
from support.results import Awaited, Studio, read_until, seqs
from support.servers import KINDS, running
from support.users import ADMIN, DEPLOY, USERS, Guarded, guarded, password, rules, rules_of

PICTURE = b"\xff\xd8 nobody but a worker sees this \xff\xd9"
CAMERA_PASSWORD = "ZQX-of-the-camera"

GOLDEN_TRACK = (Path(__file__).parent / "golden/track.v1.msgpack").read_bytes()
PICTURES = "fs:{0}:frames:cam"
SECRETS = "fs:secrets:cam"


@pytest.fixture(scope="module", params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(request.param, tmp_path_factory.mktemp("users")) as home:
        yield home


@pytest.fixture
def broker(home: Guarded) -> Iterator[Guarded]:
    home.reset()
    yield home
    home.reset()


def fill(broker: Guarded) -> None:
    """A result, a reject, a frame in a worker's hands, one that waits, a camera with a password."""
    epoch = bus.begin(broker.producer(), "cam")
    bus.publish(epoch, 4, image=PICTURE)
    worker = bus.worker(broker.worker())
    first, second = bus.take(worker, 2)
    worker.commit([bus.result_of(first), bus.reject_of(second)])
    bus.take(worker)
    with Registry(broker.url("operator")) as registry:
        registry.add("cam", CameraUrl.parse(f"rtsp://viewer:{CAMERA_PASSWORD}@camera.example/1"))
    with Registry(broker.url("producer")) as registry:
        registry.beat("p1")
        registry.report_state("cam", CameraState("live", 1, holder="p1"))


# What each may


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_frame_from_producer_to_consumer(broker: Guarded, protocol: int) -> None:
    """No command is refused on the way, not even one whose failure is passed over."""
    producer, worker = broker.producer(protocol=protocol), bus.worker(broker.worker(protocol=protocol))
    results = tail_results(broker.observer("consumer", protocol=protocol))
    live, file = bus.begin(producer, "live", live=True, depth=1), bus.begin(producer, "file", fingerprint="f")
    bus.publish(live, 3)
    bus.publish(file, 2)
    live.report()
    taken = bus.take(worker, 2)
    assert worker.commit([bus.result_of(taken[0]), bus.reject_of(taken[1])]) == 2
    assert len(results.read(0.05)) == 1
    again = broker.opened[-1].read("XRANGE", producer.keys.results(0), "-", "+")
    assert len(again) == 1
    file.report(ended=True)
    resumed = bus.begin(producer, "file", fingerprint="f", resume=True)
    bus.publish(resumed)
    assert not producer.lost_its_data()
    assert broker.refused() == []


@pytest.mark.parametrize("group", [None, "signage"])
def test_a_consumer_reads_in_every_way(broker: Guarded, group: str | None) -> None:
    """Founds, reads, tells what was removed, adopts, acknowledges and leaves: no command is refused."""
    producer = broker.producer()
    studio = Studio(producer, broker.worker())
    wishes: dict[str, Any] = {"group": group, "start": "earliest", "adopt_after_seconds": 0.001}
    with (
        ResultReader(broker.url("consumer"), **wishes) as dead,
        ResultReader(broker.url("consumer"), **wishes) as reader,
    ):
        studio.shoot(count=2)
        assert seqs(dead.read(10, 0.05)) == seqs(reader.read(10, 0.05)) == [0, 1]
        studio.shoot(count=8)
        broker.admin.xtrim(producer.keys.results(0), maxlen=2, approximate=False)
        assert seqs(reader.read(10, 0.05)) == ["-6", 8, 9]
    assert broker.refused() == []
    consumer = broker.observer("consumer")
    for command in ("XADD {} * r x", "XTRIM {} MAXLEN 0", "XDEL {} 0-1", "DEL {}", "XGROUP DESTROY {} g"):
        words = command.format(producer.keys.results(0)).split()
        assert_refused(partial(consumer.read, *words), "consumer", f"use {words[0]}")


def test_what_a_worker_does_beside_its_work(broker: Guarded) -> None:
    """Hand back, adopt from the dead and the stuck, find what vanished and what is too old, keep house."""
    connection, producer = broker.worker(), broker.producer()
    admin = Connection(broker.server.url(f"{ADMIN}:any@"))
    bus.publish(bus.begin(producer, "cam"), 4)
    old = bus.begin(producer, "old", live=True)
    bus.publish(old, 1, max_age_ms=1, held_us=10_000)
    dead, leaving = bus.worker(connection, "dead"), bus.worker(connection, "leaving")
    lost = bus.take(dead)[0]
    broker.admin.zadd(connection.keys.workers(0), {"dead": 0})
    bus.take(leaving)
    leaving.leave()
    worker = bus.worker(connection)
    assert worker.sweep() == 1
    broker.admin.xdel(connection.keys.frames(lost.camera.decode()), lost.entry)
    announce(connection, "w", "127.0.0.1:9100")
    announce(connection, "gone", "127.0.0.1:9101")
    announce(connection, "w", "127.0.0.1:9100")
    while taken := worker.take(4, 0.01):
        worker.commit([bus.result_of(delivery) for delivery in taken])
    connection.call("requeue", [connection.keys.ready(0)], ["cam"])
    worker.leave()
    bus.publish(bus.begin(producer, "stuck"))
    stuck, tidy = bus.worker(connection, "stuck"), bus.worker(connection, "tidy", Retention(bytes=1))
    [frame] = bus.take(stuck)
    bus.make_idle(admin, "stuck", frame.entry, 3_600_000)
    broker.admin.delete(connection.keys.sweeper(0))
    assert tidy.sweep() == 1
    assert tidy.commit([bus.result_of(*bus.take(tidy))]) == 1
    admin.close()
    assert read_addresses(broker.observer("operator"), {"w", "gone"}) == {"w": "127.0.0.1:9100"}
    assert broker.refused() == []
    ledger = bus.assert_closes(broker.observer("operator"))
    assert (ledger.published, ledger.in_flight) == (6, 0)
    assert ledger.dropped == {"vanished": 1, "too_old": 1}


def test_an_operator_sees_what_there_is_and_settles(broker: Guarded) -> None:
    fill(broker)
    operator = broker.observer("operator")
    assert audit(operator).closes
    assert [reject["reason"] for reject in tail_rejects(operator, earlier=5).read(0.05)] == ["decode_error"]
    assert read_overview(operator).in_hand == {"w": 1}
    assert read_standings(operator, ["cam"])["cam"].unread == 1
    broker.admin.xtrim(PICTURES, maxlen=1, approximate=False)
    assert settle(operator, "cam", "trimmed by hand") == (0, 1)
    assert audit(operator).closes
    assert broker.refused() == []


def test_the_commands_of_an_operator(
    broker: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(broker)
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url("operator"))

    def command(*arguments: str) -> tuple[int, str]:
        status = run(build_app(), list(arguments))
        return status, capsys.readouterr().out

    assert command("audit")[0] == 0
    assert [worker["name"] for worker in json.loads(command("ps", "--json")[1])["workers"]] == ["w"]
    assert "broken on purpose" in command("rejects")[1]
    assert command("drain", "--timeout", "0")[0] == 1
    worker = bus.worker(broker.worker())
    while taken := bus.take(worker, 4):
        worker.commit([bus.result_of(delivery) for delivery in taken])
    assert command("drain")[0] == 0
    assert "camera.example" in command("cameras", "list")[1]
    assert broker.refused() == []


def test_an_operator_applies_a_file_without_reading_a_password(
    broker: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fill(broker)
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url("operator"))
    wanted = tmp_path / "cameras.yaml"
    wanted.write_text(f"cameras:\n  cam:\n    url: rtsp://viewer:{CAMERA_PASSWORD}3@camera.example/1\n")
    assert run(build_app(), ["cameras", "apply", str(wanted), "--yes"]) == 0
    said = capsys.readouterr().out
    assert "written again" in said
    assert "ZQX" not in said
    with Registry(broker.url("producer")) as registry:
        assert f"{CAMERA_PASSWORD}3" in registry.reveal("cam").reveal()


def test_an_exporter_scrapes_every_camera(broker: Guarded) -> None:
    fill(broker)
    collector = LedgerCollector(lambda: Observer(broker.url("exporter")), pytest.fail)
    samples = {
        (sample.name, sample.labels.get("camera")): sample.value
        for metric in collector.collect()
        for sample in metric.samples
    }
    collector.close()
    registered = CameraCollector(lambda: Registry(broker.url("exporter")), pytest.fail, lambda: False)
    up = {sample.name: sample.value for metric in registered.collect() for sample in metric.samples}
    registered.close()
    assert (up["facestream_registry_up"], up["facestream_producers_alive"]) == (1, 1)
    assert up["facestream_camera_held"] == 1
    assert samples["facestream_broker_up", None] == 1
    assert samples["facestream_published_total", "cam"] == 4
    assert samples["facestream_unaccounted_frames", "cam"] == 0
    assert samples["facestream_oldest_unread_age_seconds", "cam"] >= 0
    assert broker.refused() == []


def test_the_registry_of_cameras(broker: Guarded) -> None:
    """An operator writes an address and cannot read its password back; a producer reads, and cannot write."""
    with Registry(broker.url("operator")) as registry:
        registry.add("cam", CameraUrl.parse(f"rtsp://viewer:{CAMERA_PASSWORD}@camera.example/1"))
        registry.change("cam", url=CameraUrl.parse(f"rtsp://viewer:{CAMERA_PASSWORD}2@camera.example/1"))
        registry.pause("cam")
        assert [camera.name for camera in registry.list()] == ["cam"]
        with Registry(broker.url("producer")) as producer:
            assert CAMERA_PASSWORD in producer.reveal("cam").reveal()
            assert producer.list() == registry.list()
            producer.beat("p1")
            producer.report_state("cam", CameraState("live", 1))
            assert producer.alive() == registry.alive() == ["p1"]
            assert set(registry.states()) == {"cam"}
            producer.leave("p1")
            assert broker.refused() == []
            for write in (lambda: producer.resume("cam"), lambda: producer.remove("cam")):
                with pytest.raises(BusRefused, match="does not let user 'producer' run the script"):
                    write()
        with pytest.raises(BusRefused, match="does not let user 'operator' run the script entry"):
            registry.reveal("cam")
        assert registry.remove("cam")


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_tracker_from_results_to_figures(broker: Guarded, protocol: int) -> None:
    """Claims, reads, looks up lines, publishes, keeps, and leaves: no command is refused."""
    fill(broker)
    with Registry(broker.url("operator")) as registry:
        registry.change("cam", settings={"lines": ["door: 0.5,0 0.5,1"]})
    connection = broker.observer("tracker", protocol=protocol)
    state = TrackerState(broker.url("tracker"), connection.keys, "t")
    lines = RegisteredLines(lambda: Registry(broker.url("tracker")))
    stop, seen = threading.Event(), []

    class Look(Hooks):
        def looked(self, partitions: Collection[Partition]) -> None:
            seen.extend(camera for each in partitions for camera in each.cameras.values())
            if seen:
                stop.set()

        def bus_lost(self, error: BusError) -> None:
            stop.set()

    Loop(connection, state, lines, Wish(), [Look()]).run(stop)
    assert [(camera.name, len(camera.lines), camera.sums["results"]) for camera in seen] == [("cam", 1, 1)]
    assert broker.refused() == []
    consumer = broker.observer("consumer", protocol=protocol)
    Following(connection).announce(0, [GOLDEN_TRACK], [])
    assert [track["event"] for track in tail_tracks(consumer, earlier=5).read(0.05)] == ["closed"]
    lines.close()
    state.close()


def test_a_sink_is_a_consumer(broker: Guarded, tmp_path: Path) -> None:
    fill(broker)
    out, environment = tmp_path / "out.jsonl", {"FACESTREAM_REDIS": broker.url("consumer")}
    arguments = ("sink", "jsonl", out, "--start", "earliest")
    with started(*arguments, environment=environment) as running:
        bus.wait_until(lambda: out.exists() and out.read_text().count("\n") == 1, "it is there")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert (ended.status, broker.refused()) == (0, [])


def test_a_viewer_sees_what_passes_and_nothing_else(broker: Guarded) -> None:
    tap, producer = Tap(broker.observer("viewer")), broker.producer()
    epoch, writer = bus.begin(producer, "cam"), TapWriter(producer, "cam")
    bus.publish(epoch, image=PICTURE)
    tap.watch("cam")
    writer.offer(bus.header(camera="cam"), PICTURE)
    assert [image for _, image in tap.follow("cam", 0.01)] == [PICTURE]
    tap.ask_to_record("cam")
    told: list[bool] = []
    TapWriter(producer, "cam", told.append).offer(bus.header(camera="cam"), PICTURE)
    assert told == [True], "who may look on may record"
    assert broker.refused() == []
    viewer = broker.observer("viewer")
    for command in ("XADD fs:{0}:tap:cam * i forged", "DEL fs:{0}:tap:cam", f"XRANGE {PICTURES} - +"):
        words = command.split()
        assert_refused(partial(viewer.read, *words), "viewer", f"use {words[0]}")


@pytest.mark.parametrize(
    ("user", "with_taps"),
    [
        ("producer", "eval evalsha xadd expire"),
        ("worker", ""),
        ("tracker", ""),
        ("consumer", ""),
        ("viewer", "xread xrevrange"),
        ("operator", ""),
        ("exporter", ""),
    ],
)
def test_only_a_viewer_may_look_on(broker: Guarded, user: str, with_taps: str) -> None:
    keyless = allowed(broker, user, "other:key")
    assert allowed(broker, user, "fs:{0}:tap:cam") - keyless == set(with_taps.split())


def test_real_processes_of_these_users(tmp_path: Path) -> None:
    """The whole way once, with pictures and networks: `producer`, `worker`, and `drain` by the operator."""
    with guarded("redis", tmp_path) as broker:
        environments = {user: {"FACESTREAM_REDIS": broker.url(user)} for user in USERS}
        with started("worker", "--attributes", "gender", environment=environments["worker"]) as worker:
            with started(
                "producer", "demo:seconds=1,fps=20", environment=environments["producer"]
            ) as producer:
                assert producer.end().status == 0
            with started("drain", environment=environments["operator"]) as drain:
                assert drain.end().status == 0
            worker.signal(signal.SIGTERM)
            assert worker.end().status == 0
        assert len(tail_results(broker.observer("consumer"))._after) == 1
        ledger = bus.assert_closes(broker.observer("operator"))
        assert ledger.results == ledger.captured == 20
        assert broker.refused() == []
        broker.reset()


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """A cluster whose nodes know the same users; `USER` stands for whom to come as."""
    with start_cluster() as cluster:
        for node in cluster.masters:
            for user in USERS:
                node.client.execute_command("ACL", "SETUSER", user, *rules_of(user))
        yield cluster.url.replace("redis://", "redis://USER:PASSWORD@")
        for node in cluster.masters:
            assert node.client.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize("protocol", [2, 3])
def test_all_of_it_in_a_cluster(cluster_url: str, protocol: int) -> None:
    def url(user: str) -> str:
        return cluster_url.replace("USER", user).replace("PASSWORD", password(user))

    producer = Connection(url("producer"), protocol=protocol)
    results = tail_results(Observer(url("consumer"), protocol=protocol))
    for number in range(4):
        bus.publish(bus.begin(producer, f"cam-{protocol}-{number}"), 2)
    hands = Connection(url("worker"), protocol=protocol)
    worker = bus.worker(hands)
    announce(hands, "w", "127.0.0.1:9100")
    ended = 0
    while taken := worker.take(2, 0.2):
        ended += worker.commit([bus.result_of(delivery) for delivery in taken])
    worker.sweep()
    worker.leave()
    assert ended == len(results.read(0.1)) == 8
    cameras = [f"cam-{protocol}-{number}" for number in range(4)]
    for kind, group in itertools.product((ResultReader, Awaited), (None, "g")):
        wishes = {"group": group and f"{group}-{kind.__name__}", "cameras": cameras, "start": "earliest"}
        with kind(url("consumer"), **wishes, adopt_after_seconds=0.001) as reader:
            assert len(read_until(reader, 8)) == 8
    for user in ("operator", "exporter"):
        observer = Observer(url(user), protocol=protocol)
        assert audit(observer).closes
        assert read_overview(observer).in_hand == {}
        if user == "operator":
            assert read_addresses(observer, {"w"}) == {"w": "127.0.0.1:9100"}


# What each may not


def allowed(broker: Guarded, user: str, key: str) -> set[str]:
    """Every command this server has that the user may run with this key wherever a key may stand."""
    broker.admin.set_response_callback("COMMAND", lambda reply, **_: reply)
    found, asked = broker.admin.pipeline(transaction=False), []
    for command in broker.admin.execute_command("COMMAND"):
        for name, arity in [(command[0], command[1])] + [(each[0], each[1]) for each in command[9]]:
            words = name.decode().split("|")
            filled = KEYS_ELSEWHERE.get(words[0]) or [key] * (abs(arity) - len(words))
            found.execute_command(
                "ACL", "DRYRUN", user, *words, *(key if word == "KEY" else word for word in filled)
            )
            asked.append(name.decode())
    # An error is said of what is no command by itself, as `SCRIPT` is none.
    answers = found.execute(raise_on_error=False)
    return {name for name, answer in zip(asked, answers, strict=True) if answer in (b"OK", "OK", True)}


# Where the place of the key depends on the arguments: without these it would not be looked for.
_SCRIPT = ["return 1", "1", "KEY"]
KEYS_ELSEWHERE = {
    "eval": _SCRIPT,
    "eval_ro": _SCRIPT,
    "evalsha": _SCRIPT,
    "evalsha_ro": _SCRIPT,
    "fcall": _SCRIPT,
    "fcall_ro": _SCRIPT,
    "xread": ["STREAMS", "KEY", "0"],
    "xreadgroup": ["GROUP", "g", "c", "STREAMS", "KEY", ">"],
}
# Logging in needs no right. What there is in a cluster and in the server's vocabulary is no secret.
ANYBODY = {"auth", "hello", "quit", "reset", "ping", "info", "cluster|slots", "asking"}
ANYBODY |= {"command", "command|" + "count"}


@pytest.mark.parametrize("user", USERS)
def test_no_user_may_anything_outside_its_keys(broker: Guarded, user: str) -> None:
    """Of all commands the server has: so neither FLUSHALL, CONFIG, KEYS, DEBUG nor SHUTDOWN."""
    found = {name for name in allowed(broker, user, "other:key") if not name.startswith("command|")}
    if user == "consumer":  # reads with a look at its group's place in one step; it may no more in it
        assert {"multi", "exec"} <= found
        found -= {"multi", "exec"}
    assert found - {"time"} == ANYBODY - {"command|count"}
    assert ("time" in found) == (user not in ("consumer", "viewer"))


@pytest.mark.parametrize(
    ("user", "with_pictures"),
    [
        ("producer", "eval evalsha xadd xdel xlen xinfo|groups xgroup|create"),
        ("worker", "xreadgroup xgroup|create xrange xclaim xack xdel xpending xinfo|groups"),
        ("tracker", ""),
        ("consumer", ""),
        ("viewer", ""),
        ("operator", "eval evalsha eval_ro evalsha_ro xlen xinfo|groups xpending"),
        ("exporter", "eval_ro evalsha_ro xlen xinfo|groups xpending"),
    ],
)
def test_only_a_worker_may_read_pictures(broker: Guarded, user: str, with_pictures: str) -> None:
    """None of XRANGE, XREAD, XINFO STREAM, DUMP, COPY and what else gives an entry, but to a worker."""
    keyless = allowed(broker, user, "other:key")
    assert allowed(broker, user, PICTURES) - keyless == set(with_pictures.split())


@pytest.mark.parametrize(
    ("user", "with_secrets"),
    [
        ("producer", "eval_ro evalsha_ro type hget"),
        ("worker", ""),
        ("tracker", ""),
        ("consumer", ""),
        ("viewer", ""),
        ("operator", "eval evalsha type hset hdel del"),
        ("exporter", ""),
    ],
)
def test_only_a_producer_may_read_credentials(broker: Guarded, user: str, with_secrets: str) -> None:
    keyless = allowed(broker, user, "other:key")
    assert allowed(broker, user, SECRETS) - keyless == set(with_secrets.split())


GROUP_RIGHTS = (
    "xreadgroup xack xpending xautoclaim xgroup|create xgroup|delconsumer "
    "xinfo|stream xinfo|groups xinfo|consumers"
)


@pytest.mark.parametrize(
    ("user", "with_results"),
    [
        ("producer", ""),
        ("worker", "eval evalsha xadd xtrim xlen memory|usage"),
        ("tracker", "xread"),
        ("consumer", f"xread xrange xrevrange {GROUP_RIGHTS}"),
        ("viewer", ""),
        ("operator", "eval_ro evalsha_ro xlen"),
        ("exporter", "eval_ro evalsha_ro xlen"),
    ],
)
def test_only_a_consumer_and_a_tracker_may_read_results(
    broker: Guarded, user: str, with_results: str
) -> None:
    keyless = allowed(broker, user, "other:key")
    assert allowed(broker, user, "fs:{0}:results") - keyless == set(with_results.split())


@pytest.mark.parametrize(
    ("user", "with_tracks"),
    [
        ("producer", ""),
        ("worker", ""),
        ("tracker", "eval evalsha xadd xtrim"),
        ("consumer", "xread xrange xrevrange"),
        ("viewer", ""),
        ("operator", ""),
        ("exporter", ""),
    ],
)
@pytest.mark.parametrize("key", ["fs:{0}:tracks", "fs:{0}:audience"])
def test_only_a_tracker_may_say_who_came_and_only_a_consumer_may_hear_it(
    broker: Guarded, user: str, with_tracks: str, key: str
) -> None:
    keyless = allowed(broker, user, "other:key")
    assert allowed(broker, user, key) - keyless == set(with_tracks.split())


@pytest.mark.parametrize("user", [user for user in USERS if user != "tracker"])
def test_nobody_else_sees_what_is_known_of_open_tracks(broker: Guarded, user: str) -> None:
    keyless = allowed(broker, user, "other:key")
    assert allowed(broker, user, "fs:{0}:tracker") == keyless


NEVER = ("FLUSHALL", "CONFIG GET *", "CONFIG SET maxmemory 1", "KEYS *", "SHUTDOWN NOSAVE")
NEVER += (
    "ACL LIST",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "MONITOR",
    "SCRIPT FLUSH",
    "FUNCTION LIST",
    "SCAN 0",
)
NEVER += (
    "SLOWLOG GET",
    "SAVE",
    "REPLICAOF localhost 1",
    "SUBSCRIBE x",
    "SELECT 1",
    "SCRIPT KILL",
    "MODULE LIST",
)


@pytest.mark.parametrize("user", USERS)
def test_what_nobody_may_is_refused_in_one_line(broker: Guarded, user: str) -> None:
    broker.producer()
    connection = broker.observer(user)
    for command in NEVER:
        words = command.split()
        assert_refused(partial(connection.read, *words), user, f"use {words[0]}")
    assert broker.admin.ping()


def assert_refused(act: Callable[[], Any], user: str, action: str) -> None:
    with pytest.raises(BusRefused) as refusal:
        act()
    message = str(refusal.value)
    assert f"does not let user '{user}' {action} (" in message
    assert "docs/security.md" in message
    assert "\n" not in message
    assert "ZQX" not in message
    assert len(message) < 420


@pytest.mark.parametrize(
    ("user", "script", "keys"),
    [
        ("producer", "take", ["held:w", "held:orphans", "ready", "workers"]),
        ("producer", "commit", ["held:w", "results", "rejects", "workers", "results-added"]),
        ("worker", "publish", ["ledger:cam", "frames:cam", "ready", "cameras", "unread:cam"]),
        ("worker", "begin", ["ledger:cam", "cameras"]),
        ("worker", "look", ["ledger:cam", "frames:cam", "unread:cam"]),
        ("consumer", "look", ["ledger:cam", "frames:cam", "unread:cam"]),
        ("consumer", "take", ["held:w", "held:orphans", "ready", "workers"]),
        ("operator", "take", ["held:w", "held:orphans", "ready", "workers"]),
        ("operator", "publish", ["ledger:cam", "frames:cam", "ready", "cameras", "unread:cam"]),
        ("exporter", "settle", ["ledger:cam", "frames:cam"]),
        ("consumer", "tracker_say", ["tracks", "audience"]),
        ("worker", "tracker_save", ["tracker"]),
        ("tracker", "commit", ["held:w", "results", "rejects", "workers", "results-added"]),
        ("exporter", "release", ["held:w", "held:orphans", "ready", "workers"]),
    ],
)
def test_nobody_does_anothers_work(broker: Guarded, user: str, script: str, keys: list[str]) -> None:
    fill(broker)
    connection = broker.observer(user)
    names = [f"fs:{{0}}:{key}" for key in keys]
    assert_refused(lambda: connection.call(script, names, ["1"] * 14), user, f"run the script {script}")
    assert bus.assert_closes(broker.observer("operator")).published == 4


@pytest.mark.parametrize(
    ("user", "command", "key", "text"),
    [
        ("producer", "EVAL", PICTURES, "return redis.call('XRANGE', KEYS[1], '-', '+')"),
        ("operator", "EVAL", PICTURES, "return redis.call('XRANGE', KEYS[1], '-', '+')"),
        ("operator", "EVAL_RO", PICTURES, "return redis.call('XINFO', 'STREAM', KEYS[1])"),
        ("operator", "EVAL", SECRETS, "return redis.call('HGETALL', KEYS[1])"),
        ("exporter", "EVAL_RO", PICTURES, "return redis.call('XREAD', 'STREAMS', KEYS[1], '0')"),
        ("exporter", "EVAL_RO", "fs:{0}:results", "return redis.call('XRANGE', KEYS[1], '-', '+')"),
        ("worker", "EVAL", "fs:{0}:results", "return redis.call('XRANGE', KEYS[1], '-', '+')"),
        (
            "worker",
            "EVAL",
            "fs:{0}:ready",
            "return redis.call('XADD', 'fs:{0}:frames:cam', '*', 'i', 'forged')",
        ),
        ("worker", "EVAL", "fs:{0}:ready", "return redis.call('HGET', 'fs:secrets:cam', '1')"),
    ],
)
def test_a_script_of_ones_own_gives_no_right(
    broker: Guarded, user: str, command: str, key: str, text: str
) -> None:
    fill(broker)
    connection = broker.observer(user)
    assert_refused(lambda: connection.read(command, text, 1, key), user, f"use {command}")


@pytest.mark.parametrize(
    ("right", "act"), [("xack", "commit"), ("xinfo|groups", "sweep"), ("xreadgroup", "take")]
)
def test_a_right_that_is_missing_is_no_frame_that_is_not_there(broker: Guarded, right: str, act: str) -> None:
    """The scripts pass over keys that are not there. A worker that may not look does not find them empty."""
    bus.publish(bus.begin(broker.producer(), "cam"), 2)
    taken = bus.take(bus.worker(broker.worker(), "clumsy"))
    less = [rule.replace(f"+{right} ", "").replace(f"+{right})", ")") for rule in rules_of("worker")]
    broker.admin.execute_command("ACL", "SETUSER", "clumsy", "reset", *less)
    clumsy = Connection(broker.url("worker").replace("worker:", "clumsy:"))
    worker = bus.Taker(clumsy, "clumsy")
    acts: dict[str, Callable[[], Any]] = {
        "commit": lambda: worker.commit([bus.result_of(taken[0])]),
        "sweep": worker.sweep,
        "take": lambda: bus.take(bus.worker(clumsy, "other")),
    }
    assert_refused(acts[act], "clumsy", f"run the script {act}")
    clumsy.close()
    broker.admin.execute_command("ACL", "DELUSER", "clumsy")


# Coming in


@pytest.mark.parametrize(
    "credentials", ["", ":ZQX@", "default:ZQX@", "worker:ZQX@", "worker@", "nobody:ZQX@"]
)
def test_nobody_comes_in_without_a_users_password(broker: Guarded, credentials: str) -> None:
    with pytest.raises(BusRefused, match="refused these credentials") as refusal:
        Connection(broker.server.url(credentials))
    assert "ZQX" not in str(refusal.value)


def test_rules_are_for_one_prefix(broker: Guarded, tmp_path: Path) -> None:
    assert_refused(lambda: Connection(broker.url("worker"), prefix="fs2"), "worker", "use fs2:meta")
    made = rules(PREFIX="fs2")
    assert "~fs2:{*}:frames:*" in made
    assert "~fs:" not in made


def test_passwords_that_nobody_named_are_made_and_told_once() -> None:
    made = subprocess.run([DEPLOY / "users.sh"], capture_output=True, text=True, check=True)
    told = dict(line.split() for line in made.stderr.splitlines())
    assert set(told) == set(USERS) - {"viewer"}
    assert len(set(told.values())) == len(told)
    assert "viewer" not in made.stdout
    assert min(map(len, told.values())) >= 32
    for secret in told.values():
        assert secret not in made.stdout
        assert hashlib.sha256(secret.encode()).hexdigest() in made.stdout


def test_any_password_can_be_given(tmp_path: Path) -> None:
    """Whatever the shell and sed make of these signs elsewhere; in an address they are written %..."""
    secret = "x y$`'\"\\&/#@:?%\u00e9"
    users = tmp_path / "users.acl"
    users.write_text(rules(WORKER_PASSWORD=secret))
    with running("redis", {"aclfile": users}, config=DEPLOY / "frames.conf") as server:
        Connection(server.url(f"worker:{quote(secret, safe='')}@")).close()


def test_the_file_as_it_is_lets_nobody_start_without_passwords() -> None:
    unmade = running("redis", {"aclfile": DEPLOY / "users.acl"})
    with pytest.raises(AssertionError, match="did not start"):
        unmade.__enter__()


def test_the_shipped_configuration_is_fit_and_keeps_nothing(broker: Guarded) -> None:
    facts = probe(broker.url("operator"), "fs")
    assert (facts.too_old, facts.policies, facts.append_only) == ("", ("noeviction",), False)
    assert facts.max_bytes == 512 << 20
    settings = broker.admin.config_get("*")
    assert settings["save"] == ""
    assert settings["slowlog-log-slower-than"] == "-1"
    assert int(settings["proto-max-bulk-len"]) > MAX_IMAGE_BYTES
    assert settings["protected-mode"] == "yes"


def test_the_shipped_configuration_with_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    certificate, ours = authority.sign("server", hosts="IP:127.0.0.1"), authority.sign("client")
    options = {
        "include": DEPLOY / "tls.conf",
        "tls-cert-file": certificate.path,
        "tls-key-file": certificate.key,
        "tls-ca-cert-file": authority.path,
    }
    with guarded("redis", tmp_path, options, tls=True) as broker:
        at = f"127.0.0.1:{broker.server.tls_port}/0?ssl_ca_certs={authority.path}"
        mine = f"&ssl_certfile={ours.path}&ssl_keyfile={ours.key}"
        producer = Connection(f"rediss://producer:{password('producer')}@{at}{mine}")
        worker = Connection(f"rediss://worker:{password('worker')}@{at}{mine}")
        bus.publish(bus.begin(producer, "cam"))
        assert bus.worker(worker).commit([bus.result_of(*bus.take(bus.worker(worker)))]) == 1
        assert broker.refused() == []
        with pytest.raises(BusRefused, match="wants a client certificate"):
            Connection(f"rediss://worker:{password('worker')}@{at}")
        with pytest.raises(BusRefused, match="refused these credentials"):
            Connection(f"rediss://worker:ZQX@{at}{mine}")
        producer.close()
        worker.close()
