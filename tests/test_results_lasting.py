"""Reading results while things go wrong: nothing is lost, nothing is given twice, and gaps are told."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
import redis

from facestream import AsyncResultReader, Result, ResultReader, ResultsMissed
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.requests import Command
from facestream.errors import BusRefused, BusUnavailable
from facestream.results import tending
from facestream.results.group import GroupFeed
from facestream.results.tending import Tending
from support import bus
from support.cluster import Cluster, Node, start_cluster
from support.kept_server import KeptServer
from support.results import Awaited, Reader, Studio, read_until, seqs
from support.servers import KINDS, running

Make = Callable[..., Reader]


@pytest.fixture(params=[ResultReader, Awaited], ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes readers of one kind; all of them are closed at the end."""
    with ExitStack() as stack:
        yield lambda url, **wishes: cast(Reader, stack.enter_context(request.param(url, **wishes)))


def tending_of(reader: ResultReader) -> Tending:
    feed = reader._session._feed
    assert isinstance(feed, GroupFeed)
    return feed._tending


# The broker


@pytest.mark.parametrize("group", [None, "g"])
def test_a_broker_that_comes_back_with_its_data(make: Make, group: str | None) -> None:
    with KeptServer() as server:
        connection = Connection(server.url)
        studio = Studio(connection)
        reader = make(server.url, group=group, start="earliest", auto_acknowledge=False)
        studio.shoot(count=3)
        assert seqs(reader.read(2, 0.05)) == [0, 1]
        server.kill()
        left = [item for _ in range(2) for item in reader.read(10, 0.01)]
        server.start()
        studio.shoot(count=2)
        again = left + read_until(reader, 3 - len(left))
        assert seqs(again) == [2, 3, 4]
        assert (reader.counts.missed, reader.counts.results) == (0, 5)
        connection.close()


@pytest.mark.parametrize("group", [None, "g"])
def test_a_broker_that_lost_its_memory(make: Make, group: str | None) -> None:
    """Nobody can know how many unread results were in it: that is said, too."""
    with KeptServer(keeps=False) as server:
        connection = Connection(server.url)
        Studio(connection).shoot(count=3)
        reader = make(server.url, group=group, start="earliest")
        assert seqs(reader.read(100, 0.05)) == [0, 1, 2]
        connection.close()
        server.restart()
        connection = Connection(server.url)
        Studio(connection).shoot(count=2)
        missed, *results = read_until(reader, 2)
        assert isinstance(missed, ResultsMissed)
        assert missed.count is None
        assert "an unknown number of results" in str(missed)
        assert seqs(results) == [0, 1]
        connection.close()


def test_a_delivery_that_was_lost_on_the_way(broker: EmbeddedBroker, connection: Connection) -> None:
    """The broker has given the results to us, and we have not heard it: they are in our name."""
    Studio(connection).shoot(count=3)
    with bus.relayed(broker.url) as relay:
        prefix = connection.keys.prefix
        with ResultReader(relay.url, prefix=prefix, group="g", start="earliest") as reader:
            reader.connect()
            pending = connection.read("XINFO GROUPS", connection.keys.results(0))[0]["pending"]
            assert pending == 0
            tending_of(reader)._adopt_at = float("inf")
            relay.lose = 1
            assert seqs(read_until(reader, 3)) == [0, 1, 2]
            assert relay.lost == 1
            assert reader.counts.duplicates == 0


@pytest.mark.parametrize(
    ("url", "error"),
    [("unix:///nowhere/at/all", BusUnavailable), ("{}?password=wrong", BusRefused)],
    ids=["absent", "password"],
)
def test_first_contact(make: Make, url: str, error: type[Exception]) -> None:
    with running("valkey", {"requirepass": "right"}) as server:
        reader = make(url.format(server.url()))
        with pytest.raises(error):
            reader.connect()
        if error is BusRefused:
            with pytest.raises(error, match="refused these credentials"):
                reader.read(1, 10)
        else:
            assert reader.read(1, 0.01) == []


def test_who_comes_before_anybody_has_published(make: Make, broker: EmbeddedBroker, prefix: str) -> None:
    reader = make(broker.url, prefix=prefix, start="latest", group="g")
    assert reader.read(1, 0.01) == []
    connection = Connection(broker.url, prefix=prefix)
    Studio(connection).shoot(count=2)
    assert seqs(read_until(reader, 2)) == [0, 1]
    connection.close()


def test_another_thread_ends_a_loop(broker: EmbeddedBroker, connection: Connection) -> None:
    Studio(connection).shoot()
    reader = ResultReader(broker.url, prefix=connection.keys.prefix, start="earliest")
    closing = threading.Thread(target=reader.close)
    for _ in reader:
        closing.start()
    closing.join()
    assert reader.read() == []


# Who is slow, and who is dead


def test_what_another_adopted_is_not_given_here(
    make: Make, broker: EmbeddedBroker, connection: Connection
) -> None:
    """A reader that was stopped for long has results in hand that are another's by now."""
    Studio(connection).shoot(count=4)
    prefix = connection.keys.prefix
    slow = ResultReader(broker.url, prefix=prefix, group="g", start="earliest", idle_seconds=0.05)
    loop = iter(slow)
    assert next(loop).seq == 0
    heir = make(broker.url, prefix=prefix, group="g", adopt_after_seconds=0.001)
    assert seqs(read_until(heir, 4)) == [0, 1, 2, 3]
    tending_of(slow)._refreshed_at = float("-inf")
    assert list(loop) == []
    assert slow.counts.results == 1
    slow.close()


def test_who_looks_after_his_results_keeps_them(broker: EmbeddedBroker, connection: Connection) -> None:
    """To look makes them new: their time in his hands begins again."""
    Studio(connection).shoot(count=2)
    prefix, stream = connection.keys.prefix, connection.keys.results(0)
    with ResultReader(broker.url, prefix=prefix, group="g", start="earliest", auto_acknowledge=False) as slow:
        assert seqs(slow.read(10, 0.05)) == [0, 1]

        def idle_ms() -> int:
            with redis.Redis.from_url(broker.url) as client:
                pending = client.xpending_range(stream, "g", "-", "+", 10)
            return min(int(entry["time_since_delivered"]) for entry in pending)

        bus.wait_until(lambda: idle_ms() > 50, "the results are in his hands for a while")
        tending_of(slow)._refreshed_at, asked_at = float("-inf"), time.monotonic()
        slow.read(10, 0.001)
        idle = idle_ms()
        assert idle <= (time.monotonic() - asked_at) * 1000 + 1


def test_a_task_may_acknowledge_while_another_waits(broker: EmbeddedBroker, connection: Connection) -> None:
    """It looks after what is in hand, too: what comes in the middle of that look is not another's."""
    studio, prefix = Studio(connection), connection.keys.prefix
    studio.shoot()

    async def steps() -> list[int | str]:
        reader = AsyncResultReader(
            broker.url, prefix=prefix, group="g", start="earliest", auto_acknowledge=False
        )
        first = await reader.read(10, 0.05)
        perform, waits = reader._link.perform, asyncio.Event()

        async def disturbed(request: Any) -> Any:
            words = request.words if isinstance(request, Command) else ()
            if "BLOCK" in words:
                waits.set()
            reply = await perform(request)
            if words and words[0] == "XREADGROUP" and "BLOCK" not in words and waits.is_set():
                studio.shoot()
                await asyncio.wait({reading}, timeout=1)
            return reply

        reader._link.perform = disturbed  # type: ignore[method-assign]
        reading = asyncio.create_task(reader.read(10, 0.2))
        await waits.wait()
        feed = reader._session._feed
        assert isinstance(feed, GroupFeed)
        feed._tending._refreshed_at = float("-inf")
        await reader.acknowledge(*cast(list[Result], first[1:]))
        reader._link.perform = perform  # type: ignore[method-assign]
        items = first + await reading + await reader.read(10, 0.2)
        await reader.acknowledge(*cast(list[Result], items))
        await reader.aclose()
        return seqs(items)

    assert asyncio.run(steps()) in ([0, 1], [0, 1, 2])
    assert connection.read("XINFO GROUPS", connection.keys.results(0))[0]["pending"] == 0


def test_what_is_done_while_an_acknowledgement_is_on_its_way_is_said_later(
    broker: EmbeddedBroker, connection: Connection
) -> None:
    Studio(connection).shoot(count=2)
    with ResultReader(
        broker.url, prefix=connection.keys.prefix, group="g", start="earliest", auto_acknowledge=False
    ) as reader:
        first, second = cast(list[Result], reader.read(10, 0.05))
        inbox, steps = reader._session._inbox, tending_of(reader)._acknowledge()
        inbox.acknowledge([first])
        request = next(steps)
        inbox.acknowledge([second])
        with pytest.raises(StopIteration):
            steps.send(reader._link.perform(cast(Command, request)))
        assert inbox.to_acknowledge == {0: [second.entry]}
    assert connection.read("XINFO GROUPS", connection.keys.results(0))[0]["pending"] == 0


def test_an_acknowledged_result_that_comes_back_is_not_given_twice(
    broker: EmbeddedBroker, connection: Connection
) -> None:
    Studio(connection).shoot(count=2)
    with ResultReader(broker.url, prefix=connection.keys.prefix, start="earliest", group="g") as reader:
        assert seqs(reader.read(10, 0.05)) == [0, 1]
        stream = connection.keys.results(0)
        for entry, fields in bus.entries_of(connection, stream):
            del entry
            connection.read("XADD", stream, "*", "r", fields[b"r"])
        assert seqs(reader.read(10, 0.05)) == []
        assert reader.counts.duplicates == 2
        assert reader.read(10, 0.01) == []
    assert connection.read("XINFO GROUPS", stream)[0]["pending"] == 0


def test_what_the_dead_had_in_hand_and_was_removed_is_told(
    make: Make, broker: EmbeddedBroker, connection: Connection
) -> None:
    studio, prefix = Studio(connection), connection.keys.prefix
    studio.shoot(count=4)
    dead = make(broker.url, prefix=prefix, group="g", start="earliest")
    assert seqs(dead.read(10, 0.05)) == [0, 1, 2, 3]
    studio.trim(1)
    heir = make(broker.url, prefix=prefix, group="g", adopt_after_seconds=0.001)
    assert seqs(read_until(heir, 1)) == ["-3", 3]
    assert connection.read("XINFO GROUPS", connection.keys.results(0))[0]["pending"] == 1


def test_names_of_the_killed_are_forgotten_in_the_end(
    broker: EmbeddedBroker, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Studio(connection).shoot(count=2)
    wishes: dict[str, Any] = {"prefix": connection.keys.prefix, "group": "g", "start": "earliest"}
    killed, idle = ResultReader(broker.url, **wishes), ResultReader(broker.url, **wishes)
    assert seqs(killed.read(1, 0.05)) == [0]
    idle.connect()
    stream = connection.keys.results(0)

    def names() -> set[str]:
        consumers = connection.read("XINFO CONSUMERS", stream, "g")
        return {consumer["name"].decode() for consumer in consumers}

    with ResultReader(broker.url, **wishes) as reader:
        assert seqs(reader.read(1, 0.05)) == [1]
        assert names() == {killed.consumer, idle.consumer, reader.consumer}
        monkeypatch.setattr(tending, "FORGET_SECONDS", 0.0)
        tending_of(reader)._adopt_at = 0
        bus.wait_until(lambda: not reader.read(1, 0.01) and len(names()) == 2, "the idle one is forgotten")
        assert killed.consumer in names(), "it has a result in hand"
    assert names() == {killed.consumer}


def test_strangers_in_the_stream(make: Make, broker: EmbeddedBroker, connection: Connection) -> None:
    studio, stream = Studio(connection), connection.keys.results(0)
    studio.shoot()
    connection.read("XADD", stream, "*", "r", b"\xc1 no msgpack")
    connection.read("XADD", stream, "*", "unknown", "field")
    studio.shoot()
    reader = make(broker.url, prefix=connection.keys.prefix, group="g", start="earliest")
    assert seqs(reader.read(10, 0.05)) == [0, 1]
    assert (reader.counts.unreadable, reader.counts.missed) == (2, 0)
    assert reader.read(10, 0.01) == []
    assert connection.read("XINFO GROUPS", stream)[0]["pending"] == 0, "they are in nobody's way"


# Several partitions


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with start_cluster(3) as running:
        yield running


CAMERAS = ("lobby", "hall", "yard", "door")


@pytest.mark.parametrize("group", [None, "g"])
@pytest.mark.parametrize("where", ["server", "cluster"])
def test_all_partitions(
    make: Make, request: pytest.FixtureRequest, where: str, group: str | None, prefix: str
) -> None:
    url = request.getfixturevalue("broker" if where == "server" else "cluster").url
    connection = Connection(url, prefix=prefix, partitions=6)
    studio = Studio(connection)
    wishes: dict[str, Any] = {"prefix": prefix, "group": group, "start": "earliest"}
    one, other = make(url, **wishes), make(url, **wishes)
    one.connect()
    for camera in CAMERAS * 3:
        studio.shoot(camera)
    frames = [item.frame for item in read_until(one, 12) if isinstance(item, Result)]
    assert len(set(frames)) == len(frames) == 12
    assert len(other.read(100, 0.05)) == (0 if group else 12)
    assert one.read(1, 0.01) == []
    for camera in CAMERAS:
        studio.shoot(camera, 5)
        studio.trim(2, camera)
    partitions = {connection.keys.partition(camera) for camera in CAMERAS}
    told = read_until(one, 2 * len(partitions))
    missed = [item.count or 0 for item in told if isinstance(item, ResultsMissed)]
    assert sum(missed) == 5 * len(CAMERAS) - 2 * len(partitions)
    studio.shoot("lobby")
    lobby = make(url, cameras=["lobby"], start="earliest", prefix=prefix).read(100, 0.05)
    assert {item.camera for item in lobby if isinstance(item, Result)} == {"lobby"}
    connection.close()


def test_a_master_that_fails_over(make: Make, prefix: str) -> None:
    """Known by the refusal of who is a replica by now, or of who has the slot no more; then all goes on."""
    with start_cluster(3, replicas=True) as cluster:
        connection = Connection(cluster.url, prefix=prefix)
        studio = Studio(connection)
        cameras = [f"camera-{number}" for number in range(6)]
        for camera in cameras:
            studio.shoot(camera)
        url = f"redis://127.0.0.1:{cluster.masters[1].port}"
        reader = make(url, prefix=prefix, group="g", start="earliest")
        assert len(read_until(reader, 6)) == 6
        for master, replica in zip(cluster.masters, cluster.replicas, strict=True):
            replica.client.execute_command("CLUSTER", "FAILOVER")  # type: ignore[no-untyped-call]
            wait_for_role(replica, "master")
            wait_for_role(master, "slave")
        read_until(reader, 0)
        for camera in cameras:
            studio.shoot(camera)
        assert {item.seq for item in read_until(reader, 6) if isinstance(item, Result)} == {1}
        assert reader.counts.missed == 0
        connection.close()


def wait_for_role(node: Node, role: str) -> None:
    bus.wait_until(lambda: node.client.info("replication")["role"] == role, f"it is {role}")


# All at once


@pytest.mark.parametrize("seed", [1, 2])
def test_no_result_is_lost_whatever_happens_to_its_readers(
    broker: EmbeddedBroker, prefix: str, seed: int
) -> None:
    """Three readers of a group, of both kinds, are killed, end, and lose replies, in a random order."""
    dice = random.Random(seed)
    connection = Connection(broker.url, prefix=prefix, partitions=3)
    studio, frames, shot = Studio(connection), set[Any](), 0
    with bus.relayed(broker.url) as relay, ExitStack() as stack:

        def hire() -> Reader:
            kind = dice.choice([ResultReader, Awaited])
            window = dice.choice([0, 5])
            wishes = {"adopt_after_seconds": 0.2, "order_window": window, "order_seconds": 0.05}
            reader = kind(relay.url, prefix=prefix, group="g", start="earliest", **wishes)
            return cast(Reader, stack.enter_context(reader))

        def work(reader: Reader) -> None:
            frames.update(
                item.frame for item in reader.read(dice.randint(1, 20), 0.002) if isinstance(item, Result)
            )

        readers = [hire() for _ in range(3)]
        readers[0].connect()
        for turn in range(150):
            studio.shoot(dice.choice(CAMERAS), count := dice.randint(0, 6))
            shot += count
            one = turn % 3
            work(readers[one])
            relay.lose += dice.random() < 0.03
            if dice.random() < 0.06:
                if dice.random() < 0.5:
                    readers[one].close()
                readers[one] = hire()  # and who was not closed is as good as killed

        def has_all() -> bool:
            for reader in readers:
                work(reader)
            return len(frames) == shot

        relay.lose = 0
        bus.wait_until(has_all, "every result was given")
        assert relay.lost > 0
        assert shot > 300
    connection.close()


# Exactness


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("readers", [1, 2, 3])
def test_missed_and_read_are_all_there_ever_were(kind: str, readers: int) -> None:
    """Whoever of a group reads over a gap, it is told once; in whatever order they read and results go."""
    with running(kind) as server, ExitStack() as stack:
        connection = Connection(server.url())
        studio = Studio(connection)
        group = [
            stack.enter_context(ResultReader(server.url(), group="g", start="earliest"))
            for _ in range(readers)
        ]
        for reader in group:
            reader.connect()
        plain = stack.enter_context(ResultReader(server.url(), start="earliest"))
        plain.connect()
        for turn, (shots, kept, taken) in enumerate(
            [(5, 5, 2), (9, 4, 3), (3, 6, 1), (30, 2, 9), (4, 4, 2), (40, 7, 5)]
        ):
            studio.shoot(count=shots)
            studio.trim(kept)
            group[turn % readers].read(taken, 0.001)
            if turn % 2:
                plain.read(4, 0.001)
        for shots, kept in ((0, 1000), (3, 2)):  # to the end, and then over one that is missing
            studio.shoot(count=shots)
            studio.trim(kept)
            for reader in [*group, plain]:
                while reader.read(100, 0.001):
                    pass
        assert sum(reader.counts.results + reader.counts.missed for reader in group) == 94
        assert plain.counts.results + plain.counts.missed == 94
        assert 0 < plain.counts.missed < 94
        connection.close()
