"""The bus over every kind of broker and both protocols: what one promises, all keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from facestream.audit import audit
from facestream.bus.client import check_fit, server_version
from facestream.bus.connection import READ_ONLY, Connection, script
from facestream.bus.ledger import read_ledger, settle
from facestream.bus.overview import Observer, read_overview, read_standings
from facestream.bus.probe import probe
from facestream.bus.publisher import Epoch, Rewind
from facestream.bus.tail import tail_rejects, tail_results
from facestream.bus.taker import Retention
from facestream.contract import DropReason, SourceDrop
from facestream.errors import BusFull, BusRefused, Fenced
from support import bus
from support.servers import KINDS, Server, running

MIB = 1 << 20


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param) as server:
        yield server


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def connection(server: Server, prefix: str, protocol: int) -> Iterator[Connection]:
    connection = Connection(server.url(), prefix=prefix, protocol=protocol)
    yield connection
    connection.close()


@pytest.fixture
def observer(server: Server, connection: Connection, prefix: str, protocol: int) -> Iterator[Observer]:
    observer = Observer(server.url(), prefix=prefix, protocol=protocol)
    yield observer
    observer.close()


# A source


def test_one_producer_at_a_time_and_the_older_is_fenced(connection: Connection) -> None:
    first = bus.begin(connection, "cam")
    bus.publish(first, 2)
    held = Epoch.begin(connection, "cam", live=False, depth=10)
    assert isinstance(held, float)
    assert 0 < held <= 5
    bus.expire_lease(connection, "cam")
    second = bus.begin(connection, "cam")
    assert second.epoch > first.epoch
    for late in (lambda: bus.publish(first), first.report):
        with pytest.raises(Fenced, match="another producer has taken camera cam"):
            late()
    bus.publish(second)
    second.report(ended=True)
    ledger = bus.assert_closes(connection, "cam")
    assert (ledger.published, ledger.captured, ledger.in_flight) == (3, 3, 3)
    assert read_ledger(connection, "cam").state == "ended"


def test_a_source_goes_on_where_it_was_cut_short(connection: Connection) -> None:
    cut = bus.begin(connection, "cam", fingerprint="f")
    bus.publish(cut, 2)
    bus.expire_lease(connection, "cam")
    again = bus.begin(connection, "cam", fingerprint="f", resume=True)
    assert (again.epoch, again.next_seq, again.totals.captured) == (cut.epoch, 2, 2)


def test_what_the_broker_forgot_is_sent_again_or_booked(connection: Connection) -> None:
    lossless, live = bus.begin(connection, "file"), bus.begin(connection, "live", live=True)
    bus.publish(lossless, 3)
    bus.publish(live, 3)
    for camera in ("file", "live"):
        connection.read("DEL", connection.keys.ledger(camera), connection.keys.frames(camera))
    lossless.totals.capture()
    with pytest.raises(Rewind) as rewind:
        lossless.publish(bus.header(), bus.IMAGE)
    assert rewind.value.seq == 0
    bus.publish(live)
    ledger = bus.assert_closes(connection, "live")
    assert (ledger.published, ledger.dropped) == (4, {"lost_in_broker": 3})


def test_a_live_camera_keeps_its_newest_and_what_is_in_hand(connection: Connection) -> None:
    epoch = bus.begin(connection, "cam", live=True, depth=2)
    bus.publish(epoch, 2)
    worker = bus.worker(connection)
    in_hand = bus.take(worker)
    bus.publish(epoch, 4)
    assert epoch.room == 0
    assert bus.counts(connection, "cam") == {"published": 6, "in_flight": 3, "trimmed_unread": 3}
    worker.commit([bus.result_of(frame) for frame in in_hand])
    assert bus.turns(bus.take(worker, 4)) == ["cam:4", "cam:5"]


def test_a_stranger_among_the_frames_costs_no_frame_its_end(connection: Connection) -> None:
    """What we did not publish is on no list of ours: more is unread then than we have ids of."""
    epoch = bus.begin(connection, "cam", live=True, depth=1)
    bus.publish(epoch)
    worker = bus.worker(connection)
    in_hand = bus.take(worker)
    connection.read("XADD", connection.keys.frames("cam"), "*", "h", "", "i", "")
    bus.publish(epoch, 2)
    assert worker.commit([bus.result_of(frame) for frame in in_hand]) == 1
    ledger = read_ledger(connection, "cam")
    assert (ledger.published, ledger.results) == (3, 1)
    assert ledger.broker_difference == -1


def test_totals_are_what_the_producer_says(connection: Connection) -> None:
    epoch = bus.begin(connection, "cam", depth=3)
    bus.publish(epoch)
    for _ in range(2):
        epoch.totals.capture()
    epoch.totals.drop(SourceDrop.ENCODE_ERROR)
    epoch.report()
    epoch.report()
    ledger = bus.assert_closes(connection, "cam")
    assert (ledger.captured, ledger.in_hand_of_producer, ledger.dropped_at_source) == (
        3,
        1,
        {"encode_error": 1},
    )
    assert epoch.room == 2


# A worker


def test_every_frame_has_one_end(connection: Connection) -> None:
    results, rejects = tail_results(connection), tail_rejects(connection)
    for camera in ("a", "b", "c"):
        bus.publish(bus.begin(connection, camera), 2)
    worker = bus.worker(connection)
    first = bus.take(worker, 3)
    assert len({delivery.camera for delivery in first}) == 3
    ends = [bus.result_of(first[0]), bus.result_of(first[1]), bus.reject_of(first[2])]
    assert worker.commit(ends) == 3
    assert worker.commit(ends) == 0
    assert worker.commit([bus.result_of(delivery) for delivery in bus.take(worker, 8)]) == 3
    ledger = bus.assert_closes(connection)
    assert (ledger.published, ledger.results, ledger.dropped, ledger.in_flight) == (
        6,
        5,
        {"decode_error": 1},
        0,
    )
    assert len({(result["camera"], result["seq"]) for result in results.read(0.05)}) == 5
    assert [reject["reason"] for reject in rejects.read(0.05)] == ["decode_error"]
    assert results.unreadable == rejects.unreadable == 0


def test_an_idle_worker_is_given_the_next_frame(connection: Connection) -> None:
    """Also what waits in the line while a worker blocks on it, by name and not by a look at all."""
    worker = bus.worker(connection)
    assert bus.take(worker) == []
    bus.publish(bus.begin(connection, "cam"))
    connection.read("DEL", connection.keys.ready(0))
    connection.read("ZADD", connection.keys.ready(0), 1, "cam")
    popped = worker._turns.wait(1.0)
    assert popped == (0, b"cam")
    assert bus.turns(worker._take(0, 1, popped[1])) == ["cam:0"]


def test_what_is_handed_back_is_taken_again_as_if_new(connection: Connection) -> None:
    bus.publish(bus.begin(connection, "cam"), 2)
    leaving = bus.worker(connection, "leaving")
    assert len(bus.take(leaving, 2)) == 2
    assert leaving.leave() == 2
    worker = bus.worker(connection)
    for _ in range(2):
        again = bus.take(worker, 2)
        assert [delivery.attempts for delivery in again] == [1]
        assert worker.commit([bus.result_of(again[0])]) == 1
    assert bus.assert_closes(connection).results == 2


def test_a_dead_workers_frames_come_into_other_hands(connection: Connection) -> None:
    bus.publish(bus.begin(connection, "cam"), 2)
    bus.take(bus.worker(connection, "dead"), 2)
    bus.declare_dead(connection, "dead")
    worker = bus.worker(connection)
    assert bus.sweep_now(worker, connection) == 2
    for _ in range(2):
        adopted = bus.take(worker, 2)
        assert [delivery.attempts for delivery in adopted] == [2]
        assert worker.commit([bus.result_of(adopted[0])]) == 1
    assert bus.assert_closes(connection).results == 2


def test_what_vanished_is_counted_by_who_finds_it(connection: Connection) -> None:
    bus.publish(bus.begin(connection, "cam"))
    gone = bus.worker(connection, "gone")
    frame = bus.take(gone)[0]
    connection.read("XDEL", connection.keys.frames("cam"), frame.entry)
    gone.leave()
    assert bus.take(bus.worker(connection)) == []
    assert bus.counts(connection, "cam") == {"published": 1, "vanished": 1}


def test_what_is_too_old_is_dropped_before_it_is_delivered(connection: Connection) -> None:
    epoch = bus.begin(connection, "cam", live=True)
    bus.publish(epoch, 2, max_age_ms=1000)
    bus.age_entries(connection, "cam", 2000)
    bus.publish(epoch, max_age_ms=60_000)
    assert bus.turns(bus.take(bus.worker(connection), 4)) == ["cam:2"]
    assert bus.counts(connection, "cam") == {"published": 3, "in_flight": 1, "too_old": 2}


def test_results_stay_within_their_memory(connection: Connection) -> None:
    bus.publish(bus.begin(connection, "cam", depth=200), 200)
    worker = bus.worker(connection, retention=Retention(bytes=40_000))
    while batch := bus.take(worker, 64):
        worker.commit([bus.result_of(delivery) for delivery in batch])
    stream = connection.keys.results(0)
    before = connection.read("MEMORY", "USAGE", stream)
    bus.sweep_now(worker, connection)
    kept = connection.read("XLEN", stream)
    assert before > 40_000
    assert connection.read("MEMORY", "USAGE", stream) < before
    assert 0 < kept < 200
    assert bus.assert_closes(connection).results == 200


def test_a_full_broker_takes_no_frame_and_lets_every_frame_out(
    connection: Connection, server: Server
) -> None:
    epoch, live = bus.begin(connection, "file", depth=1000), bus.begin(connection, "live", live=True)
    bus.publish(epoch)
    worker = bus.worker(connection)
    used = connection.info()[0]["used_memory"]
    connection.read("CONFIG", "SET", "maxmemory", used + 2 * MIB)
    try:
        with pytest.raises(BusFull, match="full: give it more maxmemory"):
            bus.publish(epoch, 1000, image=bytes(100_000))
        with pytest.raises(BusFull):
            bus.publish(live, 1000, image=bytes(100_000))
        live.totals.drop(SourceDrop.BROKER_FULL)
        live.report()
        newcomer = Connection(server.url(), prefix=connection.keys.prefix)
        bus.worker(newcomer, "newcomer").leave()
        newcomer.close()
        while batch := bus.take(worker, 4):
            assert worker.commit([bus.result_of(delivery) for delivery in batch]) == len(batch)
            bus.assert_closes(connection)
        epoch.publish(bus.header(), bus.IMAGE)
    finally:
        connection.read("CONFIG", "SET", "maxmemory", 0)
    ledger = bus.assert_closes(connection)
    assert ledger.dropped_at_source == {"broker_full": 1}
    assert (ledger.in_flight, ledger.results) == (1, ledger.published - 1)


# Who looks on


def test_an_audit_closes_fails_and_can_be_settled(connection: Connection, observer: Observer) -> None:
    bus.publish(bus.begin(connection, "cam"), 3)
    assert audit(observer).closes
    frames = bus.entries_of(connection, connection.keys.frames("cam"))
    connection.read("XDEL", connection.keys.frames("cam"), frames[1][0])
    assert [difference.frames for difference in audit(observer).differences] == [1]
    assert settle(connection, "cam", "deleted by hand") == (0, 1)
    assert settle(connection, "cam", "again") == (0, 0)
    found = audit(observer)
    assert found.closes
    assert [one.reason for one in found.ledgers[0].settlements] == ["deleted by hand"]


def test_how_cameras_and_workers_stand(connection: Connection, observer: Observer) -> None:
    for camera in ("a", "b"):
        bus.publish(bus.begin(connection, camera), 3)
    worker = bus.worker(connection)
    taken = bus.take(worker)
    standings = read_standings(observer, ["a", "b"])
    assert sorted(standing.unread for standing in standings.values()) == [2, 3]
    assert {standing.state for standing in standings.values()} == {"open"}
    overview = read_overview(observer)
    assert (overview.in_hand, overview.alive, overview.orphans) == ({"w": 1}, {"w"}, 0)
    camera = taken[0].camera.decode()
    assert read_ledger(observer, camera).oldest_ms == int(taken[0].entry.split("-")[0])


def test_the_age_of_what_waits_is_that_of_its_oldest(connection: Connection, observer: Observer) -> None:
    """Known without a look at any picture: of frames that wait, were trimmed, and are in hand."""
    epoch = bus.begin(connection, "cam", live=True, depth=2)
    bus.publish(epoch, 2)
    before = read_standings(observer, ["cam"])["cam"]
    ids = [entry.decode() for entry, _ in bus.entries_of(connection, connection.keys.frames("cam"))]
    assert before.waited_ms is not None
    assert read_ledger(observer, "cam").oldest_ms == int(ids[0].split("-")[0])
    kept = connection.keys.unread("cam")
    assert [one.decode() for one in connection.read("LRANGE", kept, 0, -1)] == ids
    bus.publish(epoch, 3)
    ids = [entry.decode() for entry, _ in bus.entries_of(connection, connection.keys.frames("cam"))]
    assert [one.decode() for one in connection.read("LRANGE", kept, 0, -1)] == ids
    worker = bus.worker(connection)
    bus.take(worker, 2)
    assert read_standings(observer, ["cam"])["cam"].waited_ms is None
    assert read_ledger(observer, "cam").oldest_ms == int(ids[0].split("-")[0])


@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_scripts_that_only_look_can_change_nothing(connection: Connection, name: str) -> None:
    """The broker holds them to it: the same text with a write in it is refused."""
    writing = script(name).source.replace("local ", "redis.call('SET', KEYS[1], '1')\nlocal ", 1)
    keys = ["{x}a", "{x}b", "{x}c", "{x}d"]
    with pytest.raises(BusRefused, match="Write commands are not allowed from read-only scripts"):
        connection.read("EVAL_RO", writing, len(keys), *keys, "")
    assert connection.read("EXISTS", "{x}a") == 0


# What is refused


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_broker_that_evicts(kind: str, policy: str) -> None:
    with running(kind, {"maxmemory": "50mb", "maxmemory-policy": policy}) as server:
        for connect in (Connection, Observer):
            with pytest.raises(BusRefused, match=f"{policy}.*set `maxmemory-policy noeviction` there"):
                connect(server.url())


def test_a_broker_that_is_too_old(server: Server, connection: Connection) -> None:
    """No older server can be had: this is what the real one says of itself, its version changed."""
    info = connection.info()[0]
    check_fit(info, "redis://broker")
    kind, version = server_version(info)
    field, older, oldest = {
        "valkey": ("valkey_version", "7.1.9", "valkey 7.2 or newer"),
        "redis": ("redis_version", "6.2.21", "redis 7.0 or newer"),
    }[kind]
    assert info[field] == version
    with pytest.raises(BusRefused, match=f"is {kind} {older}: {oldest} is needed"):
        check_fit(info | {field: older}, "redis://broker")


def test_what_a_broker_says_of_itself(server: Server, prefix: str) -> None:
    facts = probe(server.url(), prefix)
    assert facts.kind == ("valkey" if server.kind == "valkey" else "redis")
    assert (facts.too_old, facts.policies, facts.append_only, facts.snapshots) == (
        "",
        ("noeviction",),
        False,
        "",
    )


def test_reasons_are_the_same_everywhere(connection: Connection) -> None:
    bus.publish(bus.begin(connection, "cam"), len(DropReason))
    worker = bus.worker(connection)
    for reason, delivery in zip(DropReason, bus.take(worker, len(DropReason)), strict=True):
        worker.commit([bus.reject_of(delivery, reason)])
    assert bus.assert_closes(connection).dropped == {reason.value: 1 for reason in DropReason}
