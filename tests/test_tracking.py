"""The tracker against a real broker: leases, snapshots, sharing, taking over, and sudden ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.following import Following
from facestream.bus.overview import Observer
from facestream.bus.registry import Registry
from facestream.bus.tail import tail_audience, tail_tracks
from facestream.bus.tracker_state import Holding, TrackerState
from facestream.camera_url import CameraUrl
from facestream.contract import (
    AudienceMap,
    ResultMap,
    TrackMap,
    pack_result,
    unpack_audience,
    unpack_track,
)
from facestream.errors import BusFull, BusRefused
from facestream_tracker.camera import Camera
from facestream_tracker.hooks import Hooks
from facestream_tracker.lines import RegisteredLines
from facestream_tracker.loop import Loop, Wish
from facestream_tracker.partition import Partition
from support.bus import entries_of, relayed, running_server, wait_until
from support.cluster import start_cluster
from support.people import face, result
from support.processes import Command, metrics_at, port_of, started


def publish(connection: Connection, results: Sequence[ResultMap]) -> str:
    """As workers do; the id of the last."""
    for each in results:
        stream = connection.keys.results(connection.keys.partition(each["camera"]))
        entry: bytes = connection.read("XADD", stream, "*", "r", pack_result(each))
    return entry.decode()


def crowd(seconds: int, camera: str = "lobby") -> list[ResultMap]:
    """Ten frames a second: one who stays, one who walks to and fro, and some who pass."""
    frames = []
    for n in range(10 * seconds):
        there_and_back = abs((n % 120) - 60)
        faces = [face(150, 400, gender="male", years=40), face(300 + 7 * there_and_back, 120)]
        if n % 100 < 60:
            faces.append(face(60 + 12 * (n % 100), 260, gender="unknown", label_score=0.5))
        frames.append(result(n, faces if n % 17 else faces[:2], camera=camera))
        frames[-1]["clock"] = "file"  # waited for longer: a machine that is slow today changes nothing
    return [frame for n, frame in enumerate(frames) if n % 23]


def undisturbed(results: Sequence[ResultMap], camera: str = "lobby") -> tuple[Any, Any]:
    """What is to be said of the results, by key."""
    alone = Camera(camera)
    for each in results:
        alone.take(each)
    return by_key(alone.said.tracks, alone.said.minutes)


def by_key(tracks: Sequence[TrackMap], minutes: Sequence[AudienceMap]) -> tuple[Any, Any]:
    return (
        {(each["camera"], each["track"], each["number"]): each for each in tracks},
        {(each["camera"], each["minute_us"], each["revision"]): each for each in minutes},
    )


def published(connection: Connection, partition: int = 0) -> tuple[Any, Any]:
    keys = connection.keys
    tracks = [unpack_track(f[b"r"]) for _, f in entries_of(connection, keys.tracks(partition))]
    minutes = [unpack_audience(f[b"r"]) for _, f in entries_of(connection, keys.audience(partition))]
    return by_key(tracks, minutes)


def position(connection: Connection, partition: int = 0) -> str:
    found = connection.read("HGET", connection.keys.tracker(partition), "position")
    return found.decode() if found else ""


class Seen(Hooks):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def began(self, partitions: int) -> None:
        self.events.append(f"began {partitions}")

    def took_over(self, partition: Partition) -> None:
        self.events.append(f"took {partition.number}")

    def lost(self, partition: Partition, *, given: bool) -> None:
        self.events.append(f"{'gave' if given else 'lost'} {partition.number}")


@contextmanager
def tracking(
    url: str, prefix: str, name: str = "a", wish: Wish | None = None, *, kept_at: str = ""
) -> Iterator[Seen]:
    """A tracker's loop in a thread; kept_at: the state broker, where it is another."""
    stop, seen = threading.Event(), Seen()
    connection = Observer(url, prefix=prefix)
    state = TrackerState(kept_at or url, connection.keys, name)
    lines = RegisteredLines(lambda: Registry(kept_at or url, prefix=prefix))
    loop = Loop(connection, state, lines, wish or Wish(), [seen])
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        for each in (lines, state, connection):
            each.close()


# Leases and snapshots


@pytest.fixture
def claimers(broker: EmbeddedBroker, connection: Connection) -> Iterator[Callable[[str], TrackerState]]:
    made: list[TrackerState] = []

    def make(name: str) -> TrackerState:
        made.append(TrackerState(broker.url, connection.keys, name))
        return made[-1]

    yield make
    for each in made:
        each.close()


def lapse(connection: Connection) -> None:
    connection.read("HSET", connection.keys.tracker(0), "until_ms", 1)


def test_one_has_a_partition_until_its_lease_ends(
    connection: Connection, claimers: Callable[[str], TrackerState]
) -> None:
    first, second = claimers("first"), claimers("second")
    assert first.claim(0) == Holding()
    assert first.claim(0) is True
    assert second.claim(0) is False
    assert first.save(0, "5-0", "i", {"lobby": b"known", "hall": b"too"}, leaving=False)
    lapse(connection)
    assert second.claim(0) == Holding("5-0", "i", {"lobby": b"known", "hall": b"too"})
    assert second.save(0, "6-0", "i", {"hall": b""}, leaving=True)
    assert first.claim(0) == Holding("6-0", "i", {"lobby": b"known"})


def test_who_was_taken_for_dead_changes_nothing(
    connection: Connection, claimers: Callable[[str], TrackerState]
) -> None:
    slow, quick = claimers("slow"), claimers("quick")
    slow.claim(0)
    lapse(connection)
    assert isinstance(quick.claim(0), Holding)
    assert not slow.save(0, "9-0", "i", {"lobby": b"stale"}, leaving=False)
    assert not slow.save(0, "9-0", "i", {}, leaving=True)
    assert quick.claim(0, anew=True) == Holding()


def test_a_lease_from_the_future_is_none(
    connection: Connection, claimers: Callable[[str], TrackerState]
) -> None:
    claimers("first").claim(0)
    connection.read("HSET", connection.keys.tracker(0), "until_ms", 2**52)
    assert isinstance(claimers("second").claim(0), Holding)


def test_trackers_know_how_many_they_are(claimers: Callable[[str], TrackerState]) -> None:
    first, second = claimers("first"), claimers("second")
    assert first.beat() == ["first"]
    assert second.beat() == ["first", "second"]
    second.leave()
    assert first.beat() == ["first"]


def test_something_else_under_our_key_is_refused_in_one_line(
    connection: Connection, claimers: Callable[[str], TrackerState], prefix: str
) -> None:
    connection.read("SET", f"{prefix}:trackers", "mine")
    with pytest.raises(BusRefused, match="another program wrote it"):
        claimers("first").beat()


def test_what_is_published_is_bounded(connection: Connection, broker: EmbeddedBroker, prefix: str) -> None:
    observer = Observer(broker.url, prefix=prefix)
    following = Following(observer)
    for _ in range(60):
        following.announce(0, [b"t"] * 200, [b"m"] * 200)
    assert 10_000 <= connection.read("XLEN", connection.keys.tracks(0)) < 10_400
    assert 10_000 <= connection.read("XLEN", connection.keys.audience(0)) < 10_400
    observer.close()


# The loop


def test_tracks_and_minutes_of_results(broker: EmbeddedBroker, connection: Connection, prefix: str) -> None:
    results = crowd(200)
    last = publish(connection, results)
    with tracking(broker.url, prefix) as seen:
        wait_until(lambda: position(connection) == last, "all results are taken")
    assert published(connection) == undisturbed(results)
    assert seen.events == ["took 0", "began 1", "gave 0"]


def test_audience_alone_and_small_groups_withheld(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    last = publish(connection, crowd(200))
    with tracking(broker.url, prefix, wish=Wish(least_group=50, with_tracks=False)):
        wait_until(lambda: position(connection) == last, "all results are taken")
    tracks, minutes = published(connection)
    assert not tracks
    assert {each["people"] for each in minutes.values()} == {None}
    assert all(each["withheld"] for each in minutes.values())


def test_lines_come_from_the_registry(broker: EmbeddedBroker, connection: Connection, prefix: str) -> None:
    with Registry(broker.url, prefix=prefix) as registry:
        registry.add("lobby", CameraUrl.parse("rtsp://camera.example/1"))
        registry.change("lobby", settings={"lines": ["door: 0.5,0 0.5,1"]})
    last = publish(connection, crowd(200))
    with tracking(broker.url, prefix):
        wait_until(lambda: position(connection) == last, "all results are taken")
    final = [each for each in published(connection)[1].values() if each["final"]]
    assert sum(each["lines"]["door"]["entries"] for each in final) > 2
    assert sum(each["lines"]["door"]["exits"] for each in final) > 2


def test_what_is_no_result_is_passed_over(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    results = crowd(20)
    publish(connection, results[:50])
    connection.read("XADD", connection.keys.results(0), "*", "r", b"nonsense")
    connection.read("XADD", connection.keys.results(0), "*", "other", b"field")
    last = publish(connection, results[50:])
    with tracking(broker.url, prefix):
        wait_until(lambda: position(connection) == last, "all results are taken")
    assert published(connection) == undisturbed(results)


def test_a_position_that_is_none_is_the_beginning(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    results = crowd(20)
    last = publish(connection, results)
    connection.read(
        "HSET", connection.keys.tracker(0), "position", "x-y", "incarnation", connection.incarnation
    )
    with tracking(broker.url, prefix):
        wait_until(lambda: position(connection) == last, "all results are taken")
    assert published(connection) == undisturbed(results)


def test_a_tracker_that_was_too_slow_lets_go_and_starts_from_what_was_kept(
    broker: EmbeddedBroker, connection: Connection, prefix: str, claimers: Callable[[str], TrackerState]
) -> None:
    """Another took the partition, saved nothing, and left: the first comes to the same as ever."""
    results = crowd(60)
    middle = publish(connection, results[:300])
    with tracking(broker.url, prefix) as seen:
        wait_until(lambda: position(connection) == middle, "half is taken")
        other = claimers("other")
        connection.read("HSET", connection.keys.tracker(0), "holder", "other")
        publish(connection, results[300:400])
        wait_until(lambda: "lost 0" in seen.events, "it notices")
        assert isinstance(other.claim(0, anew=True), Holding)
        other.save(0, middle, connection.incarnation, {}, leaving=True)
        last = publish(connection, results[400:])
        wait_until(lambda: position(connection) == last, "the rest is taken")
    assert published(connection) == undisturbed(results)


def test_what_came_while_a_tracker_was_held_up_is_no_silence(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    """Stopped for twenty seconds between its reading and its look at the clock: nobody has gone meanwhile."""
    observer, now_us = Observer(broker.url, prefix=prefix), connection.info()[0]["server_time_usec"]
    state = TrackerState(broker.url, observer.keys, "a")
    loop = Loop(observer, state, dict, Wish(), [])
    frames = [result(n, [face(300, 200)]) for n in range(200)]

    def publish_from(first: int, last: int) -> None:
        for n, frame in enumerate(frames[first:last], first):
            entry = f"{now_us // 1000 - 100 * (len(frames) - n)}-{n + 1}"
            connection.read("XADD", connection.keys.results(0), entry, "r", pack_result(frame))

    loop._begin()
    publish_from(0, 10)
    loop._take(0.0)
    publish_from(10, len(frames))
    loop._keep_house()
    assert loop._held[0].cameras["lobby"].sums["results"] == len(frames)
    loop._leave()
    assert {track["event"] for track in published(connection)[0].values()} == {"opened", "updated"}
    for each in (state, observer):
        each.close()


def test_a_line_to_the_broker_that_breaks_changes_nothing(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    """Replies are lost, of reading, publishing and keeping alike: what was in memory is made again."""
    results = crowd(100)
    with relayed(broker.url) as relay, tracking(relay.url, prefix) as seen:
        for start in range(0, len(results), 200):
            last = publish(connection, results[start : start + 200])
            relay.lose = 3
            wait_until(lambda: position(connection) == last, "these are taken")  # noqa: B023
        wait_until(lambda: relay.lost > 6, "replies were lost")
    assert seen.events.count("began 1") > 1
    assert published(connection) == undisturbed(results)


def test_while_both_brokers_are_full(prefix: str) -> None:
    """What is counted is published and kept all the same: it takes little, and frees what is old."""
    results = crowd(100)
    with running_server() as frames, running_server() as kept:
        connection, state = Connection(frames, prefix=prefix), Connection(kept, prefix=prefix)
        last = publish(connection, results)
        for full in (connection, state):
            full.read("CONFIG", "SET", "maxmemory", 1)
            with pytest.raises(BusFull):
                full.read("SET", f"{prefix}:more", "x")
        with tracking(frames, prefix, kept_at=kept):
            wait_until(lambda: position(state) == last, "all results are taken")
        assert published(connection) == undisturbed(results)
        connection.close()
        state.close()


def test_an_emptied_broker_is_read_from_its_beginning(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    """The frames' broker lost everything; what is known stays, and what is there again is no news."""
    results = crowd(60)
    last = publish(connection, results[:400])
    with tracking(broker.url, prefix):
        wait_until(lambda: position(connection) == last, "all results are taken")
        before = published(connection)
        connection.read("DEL", connection.keys.results(0), connection.keys.meta)
        assert connection.lost_its_data()
        last = publish(connection, results[350:])
        wait_until(lambda: position(connection) == last, "what is there is taken")
    tracks, minutes = published(connection)
    assert tracks.keys() >= before[0].keys()
    assert (tracks, minutes) == undisturbed(results)


def test_partitions_are_shared_and_taken_over(broker: EmbeddedBroker, prefix: str) -> None:
    connection = Connection(broker.url, prefix=prefix, partitions=4)
    holders = lambda: [  # noqa: E731
        connection.read("HGET", connection.keys.tracker(p), "holder") for p in range(4)
    ]
    with tracking(broker.url, prefix, "a"):
        wait_until(lambda: holders() == [b"a"] * 4, "one has all")
        with tracking(broker.url, prefix, "b"):
            wait_until(lambda: sorted(filter(None, holders())) == [b"a", b"a", b"b", b"b"], "each has half")
        wait_until(lambda: holders() == [b"a"] * 4, "one has all again")
    connection.close()


# Sudden ends


def kill(running: Command) -> None:
    running.signal(signal.SIGKILL)
    running.process.wait()


def test_killed_in_the_middle_the_figures_are_those_of_an_undisturbed_run(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    """One is killed and another takes over, which is killed too; nothing is lost, nothing counted twice."""
    results, other = crowd(200), crowd(200, "hall")
    environment = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}
    both = [each for pair in zip(results, other, strict=True) for each in pair]
    parts = [both[:1000], both[1000:2000], both[2000:]]
    with started("tracker", environment=environment) as first:
        publish(connection, parts[0][:700])
        wait_until(lambda: position(connection) != "", "the first has begun")
        with started("tracker", environment=environment) as second:
            wait_until(lambda: "ready for results" in second.err, "the second has begun")
            at = position(connection)
            middle = publish(connection, parts[0][700:])
            wait_until(lambda: position(connection) > at, "something is kept")
            publish(connection, parts[1][:500])
            kill(first)
            wait_until(lambda: position(connection) > middle, "the second took over")
            assert "goes on with partition 0: 2 cameras known" in second.err
            publish(connection, parts[1][500:])
            kill(second)
    last = publish(connection, parts[2])
    with started("tracker", "--metrics-port", "0", environment=environment) as third:
        wait_until(lambda: position(connection) == last, "the third took the rest")
        port = port_of(third)
        wait_until(lambda: "facestream_audience_minutes_total{camera=hall}" in metrics_at(port), "it is seen")
        metrics = metrics_at(port)
        third.signal(signal.SIGTERM)
        assert third.end().status == 0
    expected = [undisturbed(results), undisturbed(other, "hall")]
    tracks, minutes = published(connection)
    assert tracks == expected[0][0] | expected[1][0]
    assert minutes == expected[0][1] | expected[1][1]
    final = [each for each in minutes.values() if each["final"] and each["camera"] == "hall"]
    assert metrics["facestream_audience_minutes_total{camera=hall}"] == len(final)
    left = sum(each["left_labels"]["unknown"] for each in final)
    assert metrics["facestream_audience_people_total{camera=hall}{label=unknown}"] == left > 5
    assert metrics["facestream_tracker_results_total{camera=hall}"] == len(other)
    assert connection.read("HGET", connection.keys.tracker(0), "holder") is None


def test_before_anybody_was_there_it_waits(broker: EmbeddedBroker, prefix: str) -> None:
    environment = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}
    with started("tracker", environment=environment) as running:
        wait_until(lambda: "waiting for the first" in running.err, "it says so")
        connection = Connection(broker.url, prefix=prefix, partitions=3)
        wait_until(lambda: "ready for results of 3 partitions" in running.err, "it begins")
        running.signal(signal.SIGINT)
        assert running.end().status == 0
        connection.close()


def test_readers_follow_tracks_as_they_follow_results(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    tail, minutes = tail_tracks(connection), tail_audience(connection)
    publish(connection, crowd(100))
    with tracking(broker.url, prefix):
        found: list[TrackMap] = []
        wait_until(lambda: bool(found.extend(tail.read(0.05)) or found), "the first track")
        [minute] = minutes.read(1)
    assert found[0]["event"] == "opened"
    assert (minute["people"], minute["final"]) == (8, False)


def test_in_a_cluster(prefix: str) -> None:
    """Six cameras in three partitions on three masters; one read over several slots would be refused."""
    with start_cluster() as cluster:
        connection = Connection(cluster.url, prefix=prefix, partitions=3)
        names = [f"cam-{n}" for n in range(6)]
        last = {connection.keys.partition(name): publish(connection, crowd(20, name)) for name in names}
        with tracking(cluster.url, prefix) as seen:
            wait_until(lambda: all(position(connection, p) == last[p] for p in last), "all is taken")
        assert sorted(seen.events)[:3] == ["began 3", "gave 0", "gave 1"]
        tracks = {key for p in range(3) for key in published(connection, p)[0]}
        assert tracks == {key for name in names for key in undisturbed(crowd(20, name), name)[0]}
        connection.close()
