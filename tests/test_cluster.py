"""The bus over a real cluster of three masters, each with a replica."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from facestream.bus.connection import Connection
from facestream.bus.keys import SLOTS
from facestream.bus.ledger import Ledger, read_ledgers, total
from facestream.bus.publisher import Epoch, Rewind
from facestream.bus.tail import tail_results
from facestream.bus.taker import Delivery, Outcome, Taker
from facestream.contract import FrameHeader, describe_result, pack_result
from facestream.errors import BusFull, BusUnavailable, UsageError
from facestream_bench.broker import Plan
from facestream_bench.broker import measure as measure_broker
from support.cluster import Cluster, Node, start_cluster

PATIENCE_SECONDS = 40.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with start_cluster(3, replicas=True) as running:
        yield running


@pytest.fixture
def connection(cluster: Cluster, prefix: str) -> Iterator[Connection]:
    connection = Connection(cluster.url, prefix=prefix)
    yield connection
    connection.close()


def header(seq: int = 0) -> FrameHeader:
    return FrameHeader("x", "x.mp4", 0, seq, 0, 1, "file", 64, 48, 64, 48, (0, 0, 64, 48))


def begin(connection: Connection, camera: str) -> Epoch:
    epoch = Epoch.begin(connection, camera, live=False, depth=1000)
    assert isinstance(epoch, Epoch)
    return epoch


def publish(epoch: Epoch, frames: int) -> None:
    """Publish to the end whatever happens to the cluster, as a lossless producer does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while epoch.next_seq < frames:
        if epoch.totals.captured == epoch.next_seq:
            epoch.totals.capture()
        try:
            epoch.publish(header(), b"picture")
        except Rewind as rewind:
            epoch.totals.in_hand = epoch.totals.captured - rewind.seq
            epoch.next_seq = rewind.seq
        except (BusUnavailable, BusFull):
            assert time.monotonic() < deadline, "the cluster did not come back"


class Worker(threading.Thread):
    """Takes frames and commits results until stopped, as the frame loop does."""

    def __init__(self, connection: Connection, name: str) -> None:
        super().__init__(daemon=True)
        self.taker = Taker(connection, name)
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self.taker.join()
                while not self.stopping.is_set():
                    batch = self.taker.take(4, 0.2)
                    self.taker.commit([Outcome(frame, self.result(frame)) for frame in batch])
                    self.taker.sweep()
            except BusUnavailable:
                continue
        self.taker.leave()

    def result(self, frame: Delivery) -> bytes:
        result = describe_result(
            FrameHeader.unpack(frame.header),
            [],
            models={},
            timings_ms={},
            worker=self.name,
            completed_at_us=1,
        )
        return pack_result(result)


def wait_until_drained(connection: Connection) -> Ledger:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            whole = total(read_ledgers(connection))
        except BusUnavailable:
            whole = None
        if whole is not None and whole.in_flight == 0:
            return whole
        assert time.monotonic() < deadline, f"not drained: {whole}"
        time.sleep(0.05)


def test_a_bench_of_one_server_refuses_a_cluster(cluster: Cluster) -> None:
    with pytest.raises(UsageError, match="is a cluster: this measures one server"):
        measure_broker(Plan([1], [1], 32, 1), "facestream bench broker", cluster.url)


def test_partitions_lie_evenly_on_the_masters(connection: Connection) -> None:
    keys = connection.keys
    assert keys.partitions == 48
    masters = Counter(key_slot(keys.ready(p).encode()) * 3 // SLOTS for p in range(keys.partitions))
    assert masters == {0: 16, 1: 16, 2: 16}


def test_every_key_of_a_partition_shares_its_slot(connection: Connection) -> None:
    keys = connection.keys
    for camera in ("lobby", "door", "hall"):
        partition = keys.partition(camera)
        names = [keys.frames(camera), keys.ledger(camera), keys.ready(partition), keys.results(partition)]
        names += [keys.held(partition, "w"), keys.orphans(partition), keys.rejects(partition)]
        assert len({key_slot(name.encode()) for name in names}) == 1


def test_frames_of_many_cameras_reach_one_worker(connection: Connection) -> None:
    results = tail_results(connection)
    epochs = [begin(connection, f"camera-{number}") for number in range(12)]
    for epoch in epochs:
        publish(epoch, 5)
    worker = Worker(connection, "w1")
    worker.start()
    whole = wait_until_drained(connection)
    worker.stopping.set()
    worker.join()
    assert (whole.published, whole.results) == (60, 60)
    assert whole.closes
    seen = Counter((result["camera"], result["seq"]) for result in results.read(5.0))
    assert len(seen) == 60
    assert set(seen.values()) == {1}


def test_an_idle_worker_is_woken_from_any_partition(connection: Connection) -> None:
    taker = Taker(connection, "idle")
    taker.join()
    for camera in ("a", "b", "c", "d"):
        epoch = begin(connection, camera)
        publisher = threading.Timer(0.05, publish, (epoch, 1))
        publisher.start()
        batch = taker.take(4, 10.0)
        publisher.join()
        assert [delivery.camera for delivery in batch] == [camera.encode()]
        taker.commit([Outcome(delivery, b"r") for delivery in batch])
    taker.leave()


def test_a_slot_that_moves_to_another_master_loses_nothing(cluster: Cluster, connection: Connection) -> None:
    epoch = begin(connection, "mover")
    publish(epoch, 20)
    worker = Worker(connection, "w1")
    worker.start()
    slot = key_slot(connection.keys.frames("mover").encode())
    source = cluster.masters[slot * 3 // SLOTS]
    target = cluster.masters[(slot * 3 // SLOTS + 1) % 3]
    publishing = threading.Thread(target=publish, args=(epoch, 400))
    publishing.start()
    move_slot(cluster, slot, source, target)
    publishing.join()
    whole = wait_until_drained(connection)
    move_slot(cluster, slot, target, source)
    worker.stopping.set()
    worker.join()
    assert (whole.published, whole.results) == (400, 400)
    assert whole.closes


def test_a_master_that_fails_over_loses_no_frame_of_a_file(cluster: Cluster, connection: Connection) -> None:
    """Last in this file: the first master stays dead, its replica serves from then on."""
    epochs = [begin(connection, f"camera-{number}") for number in range(6)]
    worker = Worker(
        Connection(f"redis://127.0.0.1:{cluster.masters[1].port}", prefix=connection.keys.prefix), "w1"
    )
    worker.start()
    publishing = [threading.Thread(target=publish, args=(epoch, 300)) for epoch in epochs]
    for thread in publishing:
        thread.start()
    cluster.masters[0].process.kill()
    for thread in publishing:
        thread.join()
    whole = wait_until_drained(connection)
    worker.stopping.set()
    worker.join()
    # A replica that was behind forgot the last frames, and they were sent again.
    assert whole.published == whole.captured == 6 * 300
    assert whole.results == 6 * 300
    assert whole.closes


def move_slot(cluster: Cluster, slot: int, source: Node, target: Node) -> None:
    """What `redis-cli --cluster reshard` does with one slot, a key at a time."""
    target.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ident)
    source.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ident)
    while keys := source.client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
        source.client.execute_command(
            "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "REPLACE", "KEYS", *keys
        )
    for node in (target, source):
        node.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target.ident)
    for node in cluster.masters:
        node.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target.ident)
