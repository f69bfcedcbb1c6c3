"""Faults between producer, broker and workers: afterwards every frame has one end, and the books say so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, read_ledger
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Taker
from facestream.bus.turns import EachByThread, Turn
from facestream.contract import ResultMap, unpack_result
from facestream.errors import BusError, BusUnavailable, FacestreamError
from facestream_producer.capture import Capture, Shape
from facestream_producer.hooks import Hooks as ProducerHooks
from facestream_worker.hooks import Hooks as WorkerHooks
from facestream_worker.loop import run
from support.bus import assert_closes, header, result_of, wait_until
from support.kept_server import KeptServer
from support.plain import FRAME_US, PlainPipeline, PlainSource
from support.proxy import Fault, FaultProxy, calls

CAMERA = "cam"
SHAPE = Shape(max_side=64, quality=50, max_age_ms=None, attributes=None)


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long: these tests are about what is done, not about when."""
    monkeypatch.setattr("facestream_worker.loop.SWEEP_SECONDS", 0.1)
    monkeypatch.setattr("facestream.bus.connection.RETRY_SECONDS", 0.2)


@pytest.fixture
def server() -> Iterator[KeptServer]:
    with KeptServer() as running:
        yield running


@pytest.fixture
def forgetful() -> Iterator[KeptServer]:
    """A server without a log: it is empty after a restart."""
    with KeptServer(keeps=False) as running:
        yield running


@pytest.fixture
def proxy(server: KeptServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as running:
        yield running


class _Watch(ProducerHooks):
    """Remembers what the capture loop said, and does something on the first trouble."""

    def __init__(self, on_trouble: Callable[[], object] = lambda: None) -> None:
        self.troubles: list[FacestreamError] = []
        self.rewinds: list[int] = []
        self._on_trouble = on_trouble

    def troubled(self, error: FacestreamError) -> None:
        self.troubles.append(error)
        if len(self.troubles) == 1:
            self._on_trouble()

    def rewound(self, seq: int) -> None:
        self.rewinds.append(seq)


class _Joins(WorkerHooks):
    def __init__(self) -> None:
        self.forgot: list[bool] = []
        self.lost = 0

    def joined(self, broker_forgot: bool) -> None:
        self.forgot.append(broker_forgot)

    def bus_lost(self, error: BusError) -> None:
        self.lost += 1


def carry(
    url: str,
    source: PlainSource,
    *,
    watch: _Watch | None = None,
    stop: threading.Event | None = None,
    resume: bool = False,
    depth: int = 100,
) -> Epoch:
    """Carry a source through the real capture loop, to its end."""
    connection = Connection(url)
    try:
        epoch = Epoch.begin(
            connection,
            CAMERA,
            live=source.live,
            depth=depth,
            fingerprint=source.fingerprint(),
            resume=resume,
        )
        assert isinstance(epoch, Epoch)
        broken = Capture(source, epoch, SHAPE, watch or _Watch(), stop or threading.Event()).run()
        assert broken is None
        return epoch
    finally:
        connection.close()


@contextmanager
def working(url: str, count: int = 1) -> Iterator[list[_Joins]]:
    """Workers in the real frame loop, whose pipeline does nothing; what they said of the broker."""
    stop, said = threading.Event(), [_Joins() for _ in range(count)]
    connections = [Connection(url) for _ in range(count)]
    threads = [
        threading.Thread(
            target=run,
            args=(Taker(connections[n], f"w{n}"), PlainPipeline(f"w{n}"), [said[n]], stop),
            kwargs={"batch_size": 4},
        )
        for n in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield said
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()


def results_of(url: str) -> Counter[int]:
    """How many results there are of each frame, by its number in its epoch."""
    return Counter(result["seq"] for result in _all_results(url))


def pictures_of(url: str) -> list[int]:
    """Of which pictures of the source there are results, by their place in it."""
    return sorted(result["pts_us"] // FRAME_US for result in _all_results(url))


def _all_results(url: str) -> list[ResultMap]:
    connection = Connection(url)
    entries = connection.read("XRANGE", connection.keys.results(0), "-", "+")
    connection.close()
    return [unpack_result(fields[b"r"]) for _, fields in entries]


def settled(url: str) -> Ledger:
    """The ledger when everything that was published has ended; both identities hold."""
    connection = Connection(url)
    try:
        wait_until(lambda: read_ledger(connection, CAMERA).in_flight == 0, "every frame has its end")
        assert_closes(connection, CAMERA)
        ledger = read_ledger(connection, CAMERA)
        assert ledger.in_hand_of_producer == 0
        return ledger
    finally:
        connection.close()


def once(frames: int) -> Counter[int]:
    return Counter(range(frames))


@pytest.mark.parametrize("kind", ["lose", "cut", "duplicate", "refuse", "delay"])
@pytest.mark.parametrize("name", ["publish", "report", "take", "commit", "release", "sweep"])
def test_a_spoiled_call_changes_nothing(server: KeptServer, proxy: FaultProxy, name: str, kind: str) -> None:
    carry(server.url, PlainSource(1))  # the scripts are known to the server
    before = settled_with_worker(server.url)
    spoiled = proxy.inject(Fault(kind, 0.05 if kind == "delay" else 0), to=calls(name))  # type: ignore[arg-type]
    with working(proxy.url):
        carry(proxy.url, PlainSource(20, name="again"), depth=3)
        assert spoiled.wait(20), f"no call of {name} was spoiled"
        ledger = settled(server.url)
    assert ledger.published == before.published + 20
    assert ledger.results == before.results + 20
    assert not ledger.dropped
    assert not ledger.dropped_at_source
    assert results_of(server.url) == once(20) + once(1)


def settled_with_worker(url: str) -> Ledger:
    with working(url):
        return settled(url)


def test_a_worker_that_did_not_hear_gets_the_same_frames_again(server: KeptServer, proxy: FaultProxy) -> None:
    carry(server.url, PlainSource(5))
    connection = Connection(proxy.url)
    taker = Taker(connection, "w")
    taker.join()
    first = taker.take(1, 0.01)
    assert taker.commit([result_of(delivery) for delivery in first]) == 1
    lost = proxy.inject(Fault("lose"), to=calls("take"))
    batch = taker.take(4, 0.01)
    assert lost.is_set()
    assert [delivery.attempts for delivery in batch] == [1, 1, 1, 1]
    assert sorted(d.entry for d in taker.take(4, 0.01)) == sorted(d.entry for d in batch)
    assert taker.commit([result_of(delivery) for delivery in batch]) == 4
    assert settled(server.url).results == 5
    connection.close()


def test_a_file_waits_for_a_broken_network(server: KeptServer, proxy: FaultProxy) -> None:
    watch = _Watch(on_trouble=proxy.mend)
    with working(server.url):
        carry(proxy.url, PlainSource(20, before={10: proxy.cut}), watch=watch)
        ledger = settled(server.url)
    assert isinstance(watch.troubles[0], BusUnavailable)
    assert ledger.results == ledger.captured == 20
    assert results_of(server.url) == once(20)


def test_a_camera_goes_on_through_a_broken_network(server: KeptServer, proxy: FaultProxy) -> None:
    with working(server.url):
        carry(proxy.url, PlainSource(20, live=True, before={10: proxy.cut, 15: proxy.mend}))
        ledger = settled(server.url)
    assert ledger.captured == 20
    assert ledger.dropped_at_source == {"broker_down": 5}
    assert ledger.results == 15
    assert results_of(server.url) == once(15)


@pytest.mark.parametrize("last", [5, 19])
def test_a_camera_learns_whether_a_frame_in_doubt_arrived(
    server: KeptServer, proxy: FaultProxy, last: int
) -> None:
    carry(server.url, PlainSource(1, live=True))
    lost = {last: lambda: proxy.inject(Fault("lose"), to=calls("publish"))}
    with working(server.url):
        carry(proxy.url, PlainSource(20, live=True, before=lost, name="again"))
        ledger = settled(server.url)
    assert ledger.captured == ledger.results == 21
    assert not any(ledger.dropped_at_source.values())
    assert pictures_of(server.url) == [0, *range(20)], "one result of every picture"


def test_a_repeated_frame_is_not_taken_for_the_one_in_doubt(server: KeptServer, proxy: FaultProxy) -> None:
    carry(server.url, PlainSource(1, live=True))
    spoil = {
        5: lambda: proxy.inject(Fault("refuse"), to=calls("publish")),
        6: lambda: proxy.inject(Fault("duplicate"), to=calls("publish")),
    }
    with working(server.url):
        carry(proxy.url, PlainSource(10, live=True, before=spoil, name="again"))
        ledger = settled(server.url)
    assert ledger.dropped_at_source == {"broker_down": 1}
    assert pictures_of(server.url) == sorted([0, *(number for number in range(10) if number != 5)])


def test_a_camera_does_not_wait_at_its_heartbeat(
    server: KeptServer, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facestream_producer.capture.HEARTBEAT_SECONDS", 0.0)
    with working(server.url):
        carry(proxy.url, PlainSource(20, live=True, before={10: proxy.cut, 15: proxy.mend}))
        ledger = settled(server.url)
    assert ledger.dropped_at_source == {"broker_down": 5}
    assert ledger.results == 15


def test_a_file_stopped_in_doubt_counts_its_frame_once(server: KeptServer, proxy: FaultProxy) -> None:
    carry(server.url, PlainSource(1))
    stop = threading.Event()

    def break_off() -> None:
        proxy.fault_for = lambda request: Fault("lose") if calls("publish")(request) else None

    def give_up() -> None:
        proxy.fault_for = lambda _request: None
        stop.set()

    with working(server.url):
        carry(
            proxy.url,
            PlainSource(20, before={10: break_off}, name="again"),
            watch=_Watch(give_up),
            stop=stop,
        )
        ledger = settled(server.url)
    assert ledger.published == ledger.results == 12
    assert ledger.captured == 12 + sum(ledger.dropped_at_source.values())


def test_a_resumed_file_is_complete(server: KeptServer) -> None:
    stop = threading.Event()
    with working(server.url):
        first = carry(server.url, PlainSource(20, before={10: stop.set}), stop=stop)
        assert settled(server.url).dropped_at_source == {"shutdown": 1}
        again = carry(server.url, PlainSource(20), resume=True)
        ledger = settled(server.url)
    assert again.epoch == first.epoch
    assert ledger.captured == ledger.results == 20
    assert not any(ledger.dropped_at_source.values())
    assert results_of(server.url) == once(20)


def test_a_resumed_file_skips_what_could_not_be_encoded(server: KeptServer) -> None:
    stop = threading.Event()
    with working(server.url):
        carry(server.url, PlainSource(20, before={10: stop.set}, unencodable=[2, 7]), stop=stop)
        carry(server.url, PlainSource(20, unencodable=[2, 7]), resume=True)
        ledger = settled(server.url)
    assert ledger.captured == 20
    assert {name: count for name, count in ledger.dropped_at_source.items() if count} == {"encode_error": 2}
    assert pictures_of(server.url) == [number for number in range(20) if number not in (2, 7)]


def test_a_file_survives_a_restart_that_keeps_the_data(server: KeptServer) -> None:
    with working(server.url, count=2) as said:
        carry(server.url, PlainSource(60, before={20: server.restart, 40: server.restart}), depth=4)
        ledger = settled(server.url)
    assert ledger.captured == ledger.results == 60
    assert results_of(server.url) == once(60)
    assert not any(any(joins.forgot) for joins in said)


def test_a_file_is_sent_again_to_an_empty_broker(forgetful: KeptServer) -> None:
    watch = _Watch()
    with working(forgetful.url, count=2) as said:
        carry(forgetful.url, PlainSource(30, before={15: forgetful.restart}), watch=watch, depth=4)
        ledger = settled(forgetful.url)
        assert watch.rewinds == [0]
        assert ledger.captured == ledger.published == ledger.results == 30
        assert not any(ledger.dropped_at_source.values())
        assert results_of(forgetful.url) == once(30)
        wait_until(lambda: all(any(joins.forgot) for joins in said), "both workers say the broker forgot")


def test_an_emptied_broker_is_noticed_without_a_broken_line(forgetful: KeptServer) -> None:
    connection = Connection(forgetful.url)
    watch = _Watch()

    def empty() -> None:
        connection.read("FLUSHALL")

    with working(forgetful.url, count=2) as said:
        carry(forgetful.url, PlainSource(30, before={15: empty}), watch=watch, depth=4)
        ledger = settled(forgetful.url)
        assert watch.rewinds == [0]
        assert ledger.captured == ledger.results == 30
        assert results_of(forgetful.url) == once(30)
        wait_until(lambda: all(any(joins.forgot) for joins in said), "both workers say the broker forgot")
    assert Connection(forgetful.url).incarnation != connection.incarnation
    connection.close()


def test_a_camera_books_what_an_emptied_broker_lost(forgetful: KeptServer) -> None:
    connection = Connection(forgetful.url)

    def empty() -> None:
        connection.read("FLUSHALL")

    with working(forgetful.url):
        carry(forgetful.url, PlainSource(30, live=True, before={15: empty}))
        ledger = settled(forgetful.url)
    assert ledger.captured == ledger.published == 30
    assert ledger.dropped == {"lost_in_broker": 15}
    assert ledger.results == 15
    connection.close()


@pytest.mark.parametrize("live", [True, False])
def test_a_broker_that_went_back_in_time_is_noticed(forgetful: KeptServer, live: bool) -> None:
    """As after a failover to a replica that was behind: an older state, whole in itself."""
    connection = Connection(forgetful.url)
    watch, audits = _Watch(), []

    def go_back() -> None:
        forgetful.restart()

    def look() -> None:
        audits.append(read_ledger(connection, CAMERA))

    before = {10: lambda: connection.read("SAVE"), 20: go_back, 21: look}
    carry(forgetful.url, PlainSource(30, live=live, before=before), watch=watch)
    connection.close()
    connection = Connection(forgetful.url)
    with working(forgetful.url):
        ledger = settled(forgetful.url)
    assert ledger.captured == ledger.published == 30
    if live:
        assert ledger.dropped == {"lost_in_broker": 10}
    else:
        assert watch.rewinds == [10]
        assert ledger.results == 30
        assert results_of(forgetful.url) == once(30)
    assert all(audit.closes for audit in audits), audits
    connection.close()


def test_a_camera_that_ends_at_once_books_it_too(forgetful: KeptServer) -> None:
    connection = Connection(forgetful.url)
    ends = _EndsBefore(PlainSource(10, live=True), lambda: connection.read("FLUSHALL"))
    carry(forgetful.url, ends)  # type: ignore[arg-type]
    ledger = read_ledger(connection, CAMERA)
    assert ledger.closes
    assert ledger.state == "ended"
    assert ledger.captured == ledger.published == 10
    assert ledger.dropped == {"lost_in_broker": 10}
    connection.close()


class _EndsBefore:
    """A source after whose last frame something happens."""

    def __init__(self, source: PlainSource, then: Callable[[], object]) -> None:
        self._source, self._then = source, then

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def frames(self) -> Iterator[object]:
        yield from self._source.frames()
        self._then()


def test_the_books_close_between_going_back_in_time_and_the_next_frame(forgetful: KeptServer) -> None:
    connection = Connection(forgetful.url)
    epoch = Epoch.begin(connection, CAMERA, live=True, depth=100)
    assert isinstance(epoch, Epoch)
    for number in range(6):
        epoch.totals.capture()
        epoch.publish(header(pts_us=number), b"x")
        if number == 2:
            connection.read("SAVE")
    forgetful.restart()
    epoch.report()
    ledger = assert_closes(connection, CAMERA)
    assert ledger.captured == ledger.published == 6
    assert ledger.dropped == {"lost_in_broker": 3}
    connection.close()


class _Recording(Connection):
    """Remembers every call of a script, so that the network may repeat it much later."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.calls: list[tuple[str, Sequence[str], Sequence[object]]] = []

    def call(self, name: str, keys: Sequence[str], arguments: Sequence[object], *, retry: bool = True) -> Any:
        self.calls.append((name, keys, arguments))
        return super().call(name, keys, arguments, retry=retry)


@pytest.mark.parametrize("live", [True, False])
def test_what_comes_late_is_not_believed(forgetful: KeptServer, live: bool) -> None:
    """A request may wait in a broken network until long after its client has sent it again, and gone on."""
    recording, connection = _Recording(forgetful.url), Connection(forgetful.url)
    epoch = Epoch.begin(recording, CAMERA, live=live, depth=100)
    assert isinstance(epoch, Epoch)
    taker = Taker(recording, "w")
    taker.join()
    for number in range(6):
        epoch.totals.capture()
        epoch.publish(header(pts_us=number), b"x")
        epoch.report()
        taker.commit([result_of(delivery) for delivery in taker.take(1, 0.01)])
    epoch.report(ended=True)
    before = read_ledger(connection, CAMERA)
    assert before.closes
    for name, keys, arguments in [*recording.calls, *reversed(recording.calls)]:
        connection.call(name, keys, arguments)
        assert read_ledger(connection, CAMERA) == before, name
    assert before.results == 6
    connection.close()
    recording.close()


def test_threads_that_listen_come_back_after_a_restart(server: KeptServer) -> None:
    """A worker of a cluster listens to each partition by itself."""
    connection = Connection(server.url, partitions=3)
    keys = connection.keys
    turns = EachByThread(connection, range(3))
    assert turns.wait(0.01) is None
    server.restart()

    def next_turn() -> Turn | None:
        try:
            return turns.wait(0.2)
        except BusUnavailable:
            return None

    def is_heard(partition: int) -> bool:
        with suppress(BusUnavailable):
            connection.read("ZADD", keys.ready(partition), "NX", 1, f"camera-{partition}")
        return next_turn() == (partition, f"camera-{partition}".encode())

    for partition in range(3):
        wait_until(lambda: is_heard(partition), f"partition {partition} is heard")  # noqa: B023
        connection.read("DEL", keys.ready(partition))
    turns.close()
    connection.close()
