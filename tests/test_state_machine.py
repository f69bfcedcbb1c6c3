"""The bus against a model: after every step of producers, workers, faults and the broker's own restarts,
every frame is in exactly one state, and both identities of every ledger close with what is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from facestream.bus.connection import Connection, Script
from facestream.bus.ledger import read_ledger
from facestream.bus.publisher import Epoch, Rewind, Totals
from facestream.bus.taker import Delivery, Taker
from facestream.contract import DropReason, FrameHeader, SourceDrop, unpack_result
from facestream.errors import BusError, BusUnavailable, Fenced
from support.bus import IMAGE, declare_dead, entries_of, expire_lease, header, reject_of, result_of
from support.kept_server import KeptServer

FILE, CAMERA = "file", "camera"
CAMERAS = (FILE, CAMERA)
DEPTH = {FILE: 1000, CAMERA: 2}
WORKERS = ("ann", "bob")
RESTARTS_AN_EXAMPLE = 1

Fault = Literal["none", "lose", "refuse", "twice"]
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["none", "none", "lose", "refuse", "twice"])
SERVER: list[KeptServer] = []


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """Keeps its data when it is restarted; examples stay apart by their prefix."""
    with KeptServer() as running:
        SERVER.append(running)
        yield
        SERVER.clear()


class FaultyConnection(Connection):
    """Spoils the next call of a script as a network does, and remembers every call."""

    next_fault: Fault = "none"

    def __init__(self, url: str, prefix: str) -> None:
        self.calls: list[tuple[str, Sequence[str], Sequence[Any]]] = []
        super().__init__(url, prefix=prefix)

    def call(self, name: str, keys: Sequence[str], arguments: Sequence[Any], *, retry: bool = True) -> Any:
        self.calls.append((name, keys, arguments))
        return super().call(name, keys, arguments, retry=retry)

    def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        fault, self.next_fault = self.next_fault, "none"
        if fault == "refuse":
            raise redis.ConnectionError("the line broke before")
        reply = super()._run(script, keys, arguments)
        if fault == "twice":
            reply = super()._run(script, keys, arguments)
        if fault == "lose":
            raise redis.ConnectionError("the line broke after")
        return reply


@dataclass
class Frame:
    """A published frame. where: unread, a worker's name, orphan, result, or the reason of its drop."""

    camera: str
    epoch: int
    seq: int
    picture: int
    where: str = "unread"
    is_stale: bool = False


@dataclass
class Hands:
    """A worker, and what it believes to have in hand: some of it may be others' by now."""

    taker: Taker
    deliveries: list[Delivery] = field(default_factory=list)


def _name(delivery: Delivery) -> str:
    return f"{delivery.camera.decode()}/{delivery.entry}"


class Bus(RuleBasedStateMachine):
    """Producers of a file and of a camera, and two workers, on one broker."""

    examples = 0

    def __init__(self) -> None:
        super().__init__()
        Bus.examples += 1
        prefix = f"machine{Bus.examples}"
        self.connection = FaultyConnection(SERVER[0].url, prefix)
        self.keys = self.connection.keys
        self.frames: dict[str, Frame] = {}
        self.lost: Counter[tuple[str, int]] = Counter()
        self.emptied_at = 0
        self.pictures = 0
        self.epochs: dict[str, Epoch] = {}
        self.has_ended: set[str] = set()
        self.workers = {name: Hands(Taker(self.connection, name)) for name in WORKERS}
        self.restarts = 0
        for camera in CAMERAS:
            self._begin(camera, resume=False)

    def teardown(self) -> None:
        self.connection.close()

    # Producers.

    @rule(camera=st.sampled_from(CAMERAS), resume=st.booleans())
    def die_and_begin_again(self, camera: str, resume: bool) -> None:
        if self._is_known(camera) and read_ledger(self.connection, camera).state == "open":
            assert isinstance(self._ask(camera, resume=resume), float), "another producer is at work"
            expire_lease(self.connection, camera)
        zombie = self.epochs[camera]
        self._begin(camera, resume=resume)
        # A producer that was only stopped finds its camera taken.
        zombie.totals.capture()
        with pytest.raises(Fenced):
            zombie.publish(self._header(0, False), IMAGE)
        with pytest.raises(Fenced):
            zombie.report(ended=True)

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=4))
    def publish_file(self, faults: list[Fault]) -> None:
        self._publish_some(FILE, faults, [False] * len(faults))

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=4), stale=st.lists(st.booleans(), min_size=4))
    def publish_camera(self, faults: list[Fault], stale: list[bool]) -> None:
        """Some of them so old that nobody is to get them."""
        self._publish_some(CAMERA, faults, stale)

    def _publish_some(self, camera: str, faults: list[Fault], stale: list[bool]) -> None:
        if camera in self.has_ended:
            self._begin(camera, resume=stale[0])
        for fault, is_stale in zip(faults, stale, strict=False):
            self._publish(camera, fault, is_stale=is_stale)

    def _publish(self, camera: str, fault: Fault, *, is_stale: bool) -> None:
        epoch = self.epochs[camera]
        self.pictures += 1
        epoch.totals.capture()
        picture, stale = self.pictures, is_stale and epoch.live
        self.connection.next_fault = fault
        try:
            epoch.publish(self._header(picture, stale), IMAGE)
        except BusUnavailable:
            assert epoch.live, "a file's call is tried again"
            epoch.totals.drop(SourceDrop.BROKER_DOWN)
        except Rewind as rewind:
            self._rewind(epoch, rewind.seq)
        self._find_published(camera)

    @rule(camera=st.sampled_from(CAMERAS), fault=FAULTS, ended=st.booleans())
    def report(self, camera: str, fault: Fault, ended: bool) -> None:
        """An ended source may still say so again: its first word was not heard."""
        epoch, ended = self.epochs[camera], ended or camera in self.has_ended
        self.connection.next_fault = fault
        try:
            epoch.report(ended=ended)
        except BusUnavailable:
            assert epoch.live
            self._find_published(camera)
            return
        except Rewind as rewind:
            self._rewind(epoch, rewind.seq)
            return
        self._find_published(camera)
        ledger = read_ledger(self.connection, camera)
        assert ledger.seq == epoch.next_seq - 1
        assert ledger.dropped_at_source.get("broker_down", 0) >= epoch.totals.dropped.get(
            SourceDrop.BROKER_DOWN, 0
        )
        if ended:
            assert ledger.state == "ended"
            self.has_ended.add(camera)

    # Workers.

    @rule(worker=st.sampled_from(WORKERS), batch=st.integers(1, 4), fault=FAULTS)
    def take(self, worker: str, batch: int, fault: Fault) -> None:
        hands = self.workers[worker]
        self.connection.next_fault = fault
        taken = hands.taker._take(0, batch, popped="")
        self._has_taken(worker, batch, taken)
        known = {_name(delivery) for delivery in taken}
        hands.deliveries = [each for each in hands.deliveries if _name(each) not in known] + taken

    @rule(worker=st.sampled_from(WORKERS), batch=st.integers(1, 4), faults=st.tuples(FAULTS, FAULTS))
    def take_and_commit(self, worker: str, batch: int, faults: tuple[Fault, Fault]) -> None:
        self.take(worker, batch, faults[0])
        self.commit(worker, batch, False, faults[1])

    @precondition(lambda self: any(hands.deliveries for hands in self.workers.values()))
    @rule(worker=st.sampled_from(WORKERS), count=st.integers(1, 4), refuse=st.booleans(), fault=FAULTS)
    def commit(self, worker: str, count: int, refuse: bool, fault: Fault) -> None:
        """Also of what was adopted by the other long ago, because this one was only slow."""
        hands = self.workers[worker]
        batch, hands.deliveries = hands.deliveries[:count], hands.deliveries[count:]
        if not batch:
            return
        end: Callable[[Delivery], Any] = reject_of if refuse else result_of
        self.connection.next_fault = fault
        ended = hands.taker.commit([end(delivery) for delivery in batch])
        pending = [self.frames[_name(each)] for each in batch if _name(each) in self.frames]
        pending = [frame for frame in pending if self._is_in_hand(frame)]
        assert ended == (len(pending) if fault in ("none", "refuse") else 0)
        for frame in pending:
            frame.where = DropReason.DECODE_ERROR if refuse else "result"

    @rule(worker=st.sampled_from(WORKERS), fault=FAULTS, leaving=st.booleans())
    def hand_back(self, worker: str, fault: Fault, leaving: bool) -> None:
        self.connection.next_fault = fault
        self.workers[worker].taker._release(leaving=leaving)
        self._orphan(worker)

    @rule(worker=st.sampled_from(WORKERS), is_only_slow=st.booleans(), fault=FAULTS)
    def die(self, worker: str, is_only_slow: bool, fault: Fault) -> None:
        """The other one notices."""
        declare_dead(self.connection, worker)
        if not is_only_slow:
            self.workers[worker].deliveries.clear()
        other = next(name for name in WORKERS if name != worker)
        self._expect_sweep(other, self.workers[other].taker.sweep, fault)

    # The network and the broker.

    @precondition(lambda self: self.connection.calls)
    @rule(back=st.integers(0, 5))
    def late_request(self, back: int) -> None:
        """A request that was given up long ago reaches the broker now, and nobody hears the reply."""
        calls = self.connection.calls
        name, keys, arguments = calls[-1 - back % len(calls)]
        if name == "sweep":
            self._expect_sweep(arguments[1], lambda: self._repeat(name, keys, arguments), "none")
            return
        if name == "begin" and arguments[1] not in [epoch.token for epoch in self.epochs.values()]:
            return  # it would begin an epoch that nobody carries, as a producer that dies at once does
        reply = self._repeat(name, keys, arguments)
        if name == "take":
            taken = [
                Delivery(camera, entry.decode(), attempts, about, image, size, 0)
                for camera, entry, attempts, about, image, size in reply
            ]
            self._has_taken(arguments[1], arguments[2], taken)
        elif name == "release":
            self._orphan(arguments[0])
        elif name in ("publish", "report"):
            self._find_published(arguments[0])

    @precondition(lambda self: len(self.frames) > 2 and self.restarts < RESTARTS_AN_EXAMPLE)
    @rule()
    def restart_broker(self) -> None:
        """It is killed, and comes back with all it had said yes to."""
        self.restarts += 1
        SERVER[0].restart()
        for _ in range(3):
            try:
                self.connection.read("PING")
            except BusError:
                continue
            return

    @precondition(lambda self: len(self.frames) > 2 and not self.emptied_at)
    @rule()
    def empty_broker(self) -> None:
        """It loses everything it had, as a broker without a log does at a restart."""
        for key in self.connection.read("KEYS", f"{self.keys.prefix}:*"):
            self.connection.read("DEL", key)
        self.frames.clear()
        self.lost.clear()
        self.emptied_at = max(epoch.epoch for epoch in self.epochs.values())
        self.connection.calls.clear()

    # What must hold.

    @invariant()
    def every_frame_is_in_one_state(self) -> None:
        assert self._in_streams() == {name for name, f in self.frames.items() if self._is_in_flight(f)}
        assert self._pending() == {name for name, f in self.frames.items() if self._is_in_hand(f)}
        for hand in (*WORKERS, "orphans"):
            where = "orphan" if hand == "orphans" else hand
            # What another worker has ended stays noted here until this one, or whoever adopts, looks at it.
            held = {name for name in self._held(hand) if self._is_in_flight(self.frames[name])}
            assert held == {name for name, f in self.frames.items() if f.where == where}, hand
        results = [
            unpack_result(fields[b"r"]) for _, fields in entries_of(self.connection, self.keys.results(0))
        ]
        shown = Counter((each["camera"], each["epoch"], each["seq"], each["pts_us"]) for each in results)
        assert shown == Counter(
            (each.camera, each.epoch, each.seq, each.picture)
            for each in self.frames.values()
            if each.where == "result"
        )

    @invariant()
    def the_books_close(self) -> None:
        for camera in CAMERAS:
            ledger = read_ledger(self.connection, camera)
            mine = [frame for frame in self.frames.values() if frame.camera == camera]
            assert ledger.source_difference == 0, ledger
            assert ledger.broker_difference == 0, ledger
            lost = sum(count for (name, _), count in self.lost.items() if name == camera)
            assert ledger.published == len(mine) + lost, ledger
            assert ledger.results == sum(frame.where == "result" for frame in mine), ledger
            dropped = Counter(str(frame.where) for frame in mine if frame.where in set(DropReason))
            dropped[DropReason.LOST_IN_BROKER] += lost
            assert +Counter(ledger.dropped) == +dropped, ledger
            assert ledger.in_flight == sum(self._is_in_flight(frame) for frame in mine), ledger

    # How the model follows.

    def _ask(self, camera: str, *, resume: bool) -> Epoch | float:
        return Epoch.begin(
            self.connection,
            camera,
            live=camera == CAMERA,
            depth=DEPTH[camera],
            fingerprint="the same",
            resume=resume,
        )

    def _begin(self, camera: str, *, resume: bool) -> None:
        was_known = camera in self.epochs and self._is_known(camera)
        epoch = self._ask(camera, resume=resume)
        assert isinstance(epoch, Epoch)
        before = self.epochs.get(camera)
        if before and resume and was_known:
            assert epoch.epoch == before.epoch
        elif before:
            assert epoch.epoch > before.epoch
        if not epoch.live and epoch.next_seq:
            self._count_anew(epoch)
        self.epochs[camera] = epoch
        self.has_ended.discard(camera)

    def _is_known(self, camera: str) -> bool:
        """Whether the broker knows the epoch that was the camera's last."""
        return read_ledger(self.connection, camera).epoch >= self.epochs[camera].epoch

    def _rewind(self, epoch: Epoch, seq: int) -> None:
        """As the capture loop does it."""
        assert not epoch.live
        assert seq == 1 + max((f.seq for f in self.frames.values() if f.epoch == epoch.epoch), default=-1)
        epoch.next_seq = seq
        self._count_anew(epoch)

    def _count_anew(self, epoch: Epoch) -> None:
        epoch.totals = Totals(epoch.next_seq, 0, dict.fromkeys(epoch.totals.dropped, 0))

    def _header(self, picture: int, is_stale: bool) -> FrameHeader:
        if is_stale:
            return header(pts_us=picture, held_us=60_000_000, max_age_ms=1000)
        return header(pts_us=picture)

    def _find_published(self, camera: str) -> None:
        """New entries of the stream become frames; what is missing before them was lost in the broker."""
        epoch = self.epochs[camera]
        for entry, fields in entries_of(self.connection, self.keys.frames(camera)):
            name, about = f"{camera}/{entry.decode()}", FrameHeader.unpack(fields[b"h"])
            if name not in self.frames:
                assert (about.camera, about.epoch) == (camera, epoch.epoch)
                mine = self._of(epoch)
                assert all(about.seq > f.seq and about.pts_us != f.picture for f in mine), "published twice"
                stale = about.max_age_ms is not None
                self.frames[name] = Frame(camera, about.epoch, about.seq, about.pts_us, is_stale=stale)
        if epoch.live:
            self._follow_trim(camera)
            if self._is_known(camera):
                published = read_ledger(self.connection, camera).seq + 1
                lost = self.lost[camera, epoch.epoch] = published - len(self._of(epoch))
                assert lost == 0 or epoch.epoch <= self.emptied_at

    def _of(self, epoch: Epoch) -> list[Frame]:
        return [f for f in self.frames.values() if (f.camera, f.epoch) == (epoch.camera, epoch.epoch)]

    def _follow_trim(self, camera: str) -> None:
        unread = [f for f in self.frames.values() if f.camera == camera and f.where == "unread"]
        for frame in unread[: -DEPTH[camera]]:
            frame.where = DropReason.TRIMMED_UNREAD

    def _has_taken(self, worker: str, batch: int, taken: list[Delivery]) -> None:
        order = list(self.frames)
        names = sorted((_name(each) for each in taken), key=order.index)
        assert len(set(names)) == len(names)
        held = [name for name in names if self.frames[name].where == worker]
        assert held in ([], names), "what it holds already comes first, and nothing with it"
        if not held:
            assert len(names) <= batch
            assert len(names) == 1 or all(self.frames[name].where == "unread" for name in names)
        left = self._in_streams()
        for name, frame in self.frames.items():
            if self._is_in_flight(frame) and name not in left:
                assert frame.is_stale
                frame.where = DropReason.TOO_OLD
        for name in names:
            frame = self.frames[name]
            assert frame.where in ("unread", "orphan", worker)
            self._assert_oldest(frame)
            frame.where = worker

    def _assert_oldest(self, frame: Frame) -> None:
        if frame.where == "unread":
            same = [f for f in self.frames.values() if f.camera == frame.camera and f.where == "unread"]
            assert frame is same[0], "a camera's frames are taken in order"

    def _expect_sweep(self, worker: str, sweep: Callable[[], Any], fault: Fault) -> None:
        self.connection.read("DEL", self.keys.sweeper(0))
        workers = self.keys.workers(0)
        dead = [
            name for name in WORKERS if name != worker and self.connection.read("ZSCORE", workers, name) == 0
        ]
        self.connection.next_fault = fault
        sweep()
        for name in dead:
            self._orphan(name)

    def _repeat(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        return Connection.call(self.connection, name, keys, arguments)

    def _orphan(self, worker: str) -> None:
        for frame in self.frames.values():
            if frame.where == worker:
                frame.where = "orphan"

    def _is_in_hand(self, frame: Frame) -> bool:
        return frame.where in (*WORKERS, "orphan")

    def _is_in_flight(self, frame: Frame) -> bool:
        return frame.where == "unread" or self._is_in_hand(frame)

    def _in_streams(self) -> set[str]:
        return {
            f"{camera}/{entry.decode()}"
            for camera in CAMERAS
            for entry, _ in entries_of(self.connection, self.keys.frames(camera))
        }

    def _pending(self) -> set[str]:
        found: set[str] = set()
        for camera in CAMERAS:
            frames = self.keys.frames(camera)
            if self.connection.read("EXISTS", frames):
                pending: list[dict[str, Any]] = self.connection._client.xpending_range(
                    frames, "workers", "-", "+", 10_000
                )
                found |= {f"{camera}/{each['message_id'].decode()}" for each in pending}
        return found

    def _held(self, hand: str) -> set[str]:
        return {field.decode() for field in self.connection.read("HKEYS", self.keys.held(0, hand))}


TestBus = Bus.TestCase
TestBus.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    phases=[Phase.generate],
)
