"""The ledger: both identities at every moment, whatever anybody does, and what watchers read beside it."""

from __future__ import annotations

import secrets
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, all_cameras, read_ledger, read_ledgers, total
from facestream.bus.publisher import Epoch
from facestream.bus.tail import tail_rejects, tail_results
from facestream.bus.taker import Delivery, Outcome, Taker
from facestream.contract import DropReason, SourceDrop, unpack_result
from support.bus import (
    assert_closes,
    begin,
    counts,
    declare_dead,
    entries_of,
    expire_lease,
    publish,
    reject_of,
    result_of,
    sweep_now,
    take,
    worker,
)

CAMERAS = ("a", "b", "live")


class System(RuleBasedStateMachine):
    """Producers, workers, their deaths and their lost replies, in any order, on a real broker.

    The oracle is kept apart: what was captured, and which frames have a result.
    """

    broker: EmbeddedBroker

    @initialize()
    def start(self) -> None:
        self.connection = Connection(self.broker.url, prefix=f"t{secrets.token_hex(6)}")
        self.epochs: dict[str, Epoch] = {}
        self.captured: Counter[str] = Counter()
        self.published: Counter[str] = Counter()
        self.workers: dict[str, Taker] = {}
        self.in_hand: dict[str, list[Delivery]] = {}
        self.ghosts: list[tuple[Taker, list[Outcome]]] = []
        for name in ("w1", "w2"):
            self.workers[name] = worker(self.connection, name)
            self.in_hand[name] = []
        for camera in CAMERAS:
            self.produce(camera, 2)

    def _epoch(self, camera: str) -> Epoch:
        if camera not in self.epochs:
            self.epochs[camera] = begin(self.connection, camera, live=camera == "live", depth=3)
        return self.epochs[camera]

    def produce(self, camera: str, count: int) -> None:
        publish(self._epoch(camera), count, max_age_ms=3_600_000 if camera == "live" else None)
        self.captured[camera] += count
        self.published[camera] += count

    @rule(camera=st.sampled_from(CAMERAS), count=st.integers(1, 5))
    def produce_some(self, camera: str, count: int) -> None:
        self.produce(camera, count)

    @rule(camera=st.sampled_from(CAMERAS), seconds=st.sampled_from([0, 10_000]))
    def produce_one_that_may_be_too_old(self, camera: str, seconds: int) -> None:
        publish(self._epoch(camera), held_us=seconds * 1_000_000, max_age_ms=3_600_000)
        self.captured[camera] += 1
        self.published[camera] += 1

    @rule(camera=st.sampled_from(CAMERAS), reason=st.sampled_from(SourceDrop))
    def drop_at_source(self, camera: str, reason: SourceDrop) -> None:
        totals = self._epoch(camera).totals
        totals.capture()
        totals.drop(reason)
        self.captured[camera] += 1
        self._epoch(camera).report()

    @rule(camera=st.sampled_from(CAMERAS))
    def end_the_epoch(self, camera: str) -> None:
        self._epoch(camera).report(ended=True)
        del self.epochs[camera]

    @rule(camera=st.sampled_from(CAMERAS), lost=st.integers(0, 2))
    def kill_the_producer(self, camera: str, lost: int) -> None:
        """With frames in hand, which were then not captured."""
        epoch = self._epoch(camera)
        for _ in range(lost):
            epoch.totals.capture()
        epoch.report()
        expire_lease(self.connection, camera)
        self.epochs[camera] = begin(self.connection, camera, live=camera == "live", depth=3)

    @rule(camera=st.sampled_from(CAMERAS))
    def resume(self, camera: str) -> None:
        before = self._epoch(camera)
        expire_lease(self.connection, camera)
        self.epochs[camera] = begin(self.connection, camera, live=camera == "live", depth=3, resume=True)
        assert (self.epochs[camera].epoch, self.epochs[camera].next_seq) == (before.epoch, before.next_seq)

    def _pick(self, data: st.DataObject, *, busy: bool) -> str:
        return data.draw(st.sampled_from([name for name in self.in_hand if bool(self.in_hand[name]) == busy]))

    @precondition(lambda self: not all(self.in_hand.values()))
    @rule(data=st.data(), batch=st.integers(1, 6))
    def take_some(self, data: st.DataObject, batch: int) -> None:
        name = self._pick(data, busy=False)
        self.in_hand[name] = self.workers[name]._take(0, batch, popped="")

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(data=st.data(), good=st.booleans(), twice=st.booleans())
    def commit_all(self, data: st.DataObject, good: bool, twice: bool) -> None:
        name = self._pick(data, busy=True)
        outcomes = [result_of(d) if good else reject_of(d) for d in self.in_hand[name]]
        assert self.workers[name].commit(outcomes) <= len(outcomes)
        if twice:
            assert self.workers[name].commit(outcomes) == 0
        self.in_hand[name] = []

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        name = self._pick(data, busy=True)
        self.workers[name].join()
        self.in_hand[name] = []

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """It may have been only slow: what it had in hand it may still commit."""
        name = self._pick(data, busy=True)
        self.ghosts.append((self.workers[name], [result_of(d) for d in self.in_hand[name]]))
        declare_dead(self.connection, name)
        sweep_now(self.workers["w1" if name == "w2" else "w2"], self.connection)
        self.in_hand[name] = []

    @precondition(lambda self: self.ghosts)
    @rule()
    def a_ghost_commits(self) -> None:
        taker, outcomes = self.ghosts.pop()
        taker.commit(outcomes)

    @rule(name=st.sampled_from(["w1", "w2"]))
    def sweep(self, name: str) -> None:
        sweep_now(self.workers[name], self.connection)

    @invariant()
    def everything_adds_up(self) -> None:
        for camera in CAMERAS:
            ledger = read_ledger(self.connection, camera)
            assert ledger.closes, ledger
            assert ledger.captured == self.captured[camera], ledger
            assert ledger.published == self.published[camera], ledger
            assert set(ledger.dropped) <= {"trimmed_unread", "too_old", "decode_error"}, ledger

    @invariant()
    def no_frame_has_two_results(self) -> None:
        stored = entries_of(self.connection, self.connection.keys.results(0))
        results = [unpack_result(fields[b"r"]) for _, fields in stored]
        assert len({(r["camera"], r["epoch"], r["seq"]) for r in results}) == len(results)
        assert len(results) == sum(read_ledger(self.connection, camera).results for camera in CAMERAS)

    def teardown(self) -> None:
        """In the end every frame can be brought to its end, by anyone."""
        if not hasattr(self, "connection"):
            return
        for name in self.workers:
            declare_dead(self.connection, name)
        last = worker(self.connection, "last")
        sweep_now(last, self.connection)
        while batch := last._take(0, 4, popped=""):
            last.commit([result_of(delivery) for delivery in batch])
        assert assert_closes(self.connection, *CAMERAS).in_flight == 0
        assert self.connection.read("HLEN", self.connection.keys.orphans(0)) == 0
        self.connection.close()


def test_everything_adds_up_whatever_anybody_does(broker: EmbeddedBroker) -> None:
    class OnBroker(System):
        pass

    OnBroker.broker = broker
    steps = settings(
        max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(OnBroker, settings=steps)


def test_a_camera_nobody_published_is_an_empty_ledger_that_closes(connection: Connection) -> None:
    assert read_ledger(connection, "nobody") == Ledger(camera="nobody")
    assert read_ledger(connection, "nobody").closes
    assert read_ledgers(connection) == []
    assert connection.read("EXISTS", connection.keys.ledger("nobody")) == 0, "looking changes nothing"


def test_the_sum_of_all_cameras(broker: EmbeddedBroker, prefix: str) -> None:
    connection = Connection(broker.url, prefix=prefix, partitions=3)
    cameras = [f"cam{number}" for number in range(6)]
    for number, camera in enumerate(cameras):
        epoch = begin(connection, camera)
        publish(epoch, number + 1)
        epoch.totals.capture()
        epoch.totals.drop(SourceDrop.MOTION_GATE)
        epoch.report()
    taker = worker(connection)
    for reason in (None, DropReason.POISON):
        for delivery in take(taker, 1):
            taker.commit([reject_of(delivery, reason) if reason else result_of(delivery)])
    held = take(taker, 2)
    assert all_cameras(connection) == set(cameras)
    whole = assert_closes(connection)
    assert whole == total(read_ledgers(connection, cameras))
    assert (whole.camera, whole.captured, whole.published) == ("all", 27, 21)
    assert (whole.results, whole.dropped, whole.in_flight) == (1, {"poison": 1}, 19)
    assert whole.in_hand_of_workers == len(held)
    assert whole.dropped_at_source == {"motion_gate": 6}
    assert sum(whole.ages.values()) == 1
    taker.leave()
    connection.close()


@pytest.mark.parametrize(
    ("field", "difference"),
    [("captured", (1, 0)), ("published", (-1, 1)), ("results", (0, -1)), ("drop:poison", (0, -1))]
    + [
        ("src:fps_limit", (-1, 0)),
        ("past:captured", (1, 0)),
        ("past:src:fps_limit", (-1, 0)),
        ("in_hand", (-1, 0)),
    ],
)
def test_no_count_can_be_wrong_unnoticed(
    connection: Connection, field: str, difference: tuple[int, int]
) -> None:
    publish(begin(connection, "cam"), 2)
    taker = worker(connection)
    taker.commit([result_of(delivery) for delivery in take(taker)])
    connection.read("HINCRBY", connection.keys.ledger("cam"), field, 1)
    ledger = read_ledger(connection, "cam")
    assert (ledger.source_difference, ledger.broker_difference) == difference
    assert not ledger.closes


def test_what_is_in_flight_is_measured(connection: Connection) -> None:
    publish(begin(connection, "cam"), 2)
    connection.read("XADD", connection.keys.frames("cam"), "*", "a stranger's", "entry")
    assert read_ledger(connection, "cam").broker_difference == -1


def test_the_oldest_frame_in_flight_is_told(connection: Connection) -> None:
    publish(begin(connection, "cam"), 2)
    entry = entries_of(connection, connection.keys.frames("cam"))[0][0]
    assert read_ledger(connection, "cam").oldest_ms == int(entry.split(b"-")[0])
    taker = worker(connection)
    taker.commit([result_of(delivery) for delivery in take(taker, 2)])
    assert read_ledger(connection, "cam").oldest_ms is None
    assert counts(connection, "cam") == {"published": 2, "results": 2}


# Watching


def test_a_tail_begins_now_and_misses_nothing_after(connection: Connection) -> None:
    publish(begin(connection, "cam", depth=1000), 600)
    taker = worker(connection)
    taker.commit([result_of(delivery) for delivery in take(taker, 10)])
    tail = tail_results(connection)
    assert tail.read(0.001) == []
    while batch := take(taker, 64):
        taker.commit([result_of(delivery) for delivery in batch])
    seen: list[int] = []
    while results := tail.read(0.01):
        seen += [result["seq"] for result in results]
    assert seen == list(range(10, 600))
    assert tail.unreadable == 0


def test_a_tail_counts_what_is_not_of_the_contract_and_goes_on(connection: Connection) -> None:
    results, rejects = tail_results(connection), tail_rejects(connection)
    for stream in (connection.keys.results(0), connection.keys.rejects(0)):
        connection.read("XADD", stream, "*", "r", b"\xc1 garbage")
        connection.read("XADD", stream, "*", "another", "field")
    publish(begin(connection, "cam"), 2)
    taker = worker(connection)
    one, other = take(taker, 2)
    taker.commit([result_of(one), reject_of(other)])
    assert [result["seq"] for result in results.read(1.0)] == [0]
    assert [reject["reason"] for reject in rejects.read(1.0)] == ["decode_error"]
    assert (results.unreadable, rejects.unreadable) == (2, 2)


def test_a_tail_over_several_partitions(broker: EmbeddedBroker, prefix: str) -> None:
    connection = Connection(broker.url, prefix=prefix, partitions=3)
    tail, cameras = tail_results(connection), {f"cam{number}" for number in range(9)}
    for camera in cameras:
        publish(begin(connection, camera))
    taker = worker(connection)
    while batch := take(taker, 4):
        taker.commit([result_of(delivery) for delivery in batch])
    seen: set[str] = set()
    while results := tail.read(0.01):
        seen |= {result["camera"] for result in results}
    assert seen == cameras
    taker.leave()
    connection.close()
