"""The tap: copies of frames while somebody looks, and nothing that publishing or the ledger could feel."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.overview import Observer
from facestream.bus.publisher import Epoch
from facestream.bus.tap import KEEP_SECONDS, MAX_BYTES, MAX_FRAMES, WATCH_SECONDS, Tap, TapWriter
from facestream.contract import SourceDrop
from facestream.errors import BusFull, BusRefused, BusUnavailable, CameraNameError
from facestream_producer.capture import Capture, Shape
from facestream_producer.hooks import Hooks
from facestream_producer.source import Source
from support.bus import IMAGE, assert_closes, begin, entries_of, header, publish, result_of, take, worker
from support.plain import PlainSource

SHAPE = Shape(max_side=64, quality=80, max_age_ms=None, attributes=None)
VIEWER = "%R~{0}:meta %R~{0}:{{*}}:tap:* %W~{0}:{{*}}:watch:* -@all +@read +@connection +@blocking +set +info"


def tapped(connection: Connection, camera: str = "cam") -> int:
    return len(entries_of(connection, connection.keys.tap(camera)))


def calls(connection: Connection) -> int:
    """How many commands the broker has been given."""
    return int(connection.info()[0]["total_commands_processed"])


def test_nothing_is_written_while_nobody_looks(connection: Connection) -> None:
    writer = TapWriter(connection, "cam")
    Tap(connection).watch("other")
    for seq in range(3):
        writer.offer(header(seq=seq), IMAGE)
    assert connection.read("EXISTS", connection.keys.tap("cam")) == 0


def test_whether_somebody_looks_is_asked_at_most_once_a_second(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("facestream.bus.tap.time.monotonic", lambda: now)
    writer = TapWriter(connection, "cam")
    writer.offer(header(), IMAGE)
    before = calls(connection)
    for _ in range(100):
        writer.offer(header(), IMAGE)
    assert calls(connection) - before == 1, "the counting itself"
    Tap(connection).watch("cam")
    now += 0.99
    writer.offer(header(), IMAGE)
    assert tapped(connection) == 0
    now += 0.02
    writer.offer(header(), IMAGE)
    assert tapped(connection) == 1


def test_frames_come_while_somebody_looks(connection: Connection) -> None:
    Tap(connection).watch("cam")
    writer, frames = TapWriter(connection, "cam"), Tap(connection).follow("cam", 5.0)
    for seq in range(2):
        sent = header(seq=seq, pts_us=seq)
        writer.offer(sent, IMAGE + bytes([seq]))
        assert next(frames) == (sent, IMAGE + bytes([seq]))


def test_one_who_is_slow_gets_the_newest(connection: Connection) -> None:
    Tap(connection).watch("cam")
    writer = TapWriter(connection, "cam")
    for seq in range(3):
        writer.offer(header(seq=seq), IMAGE)
    frames = Tap(connection).follow("cam", 0.05)
    assert [seen.seq for seen, _ in frames] == [2], "and it ends when nothing comes"


def test_following_is_watching(connection: Connection) -> None:
    assert list(Tap(connection).follow("cam", 0.01)) == []
    left = connection.read("PTTL", connection.keys.watch("cam"))
    assert WATCH_SECONDS * 1000 - 1000 < left <= WATCH_SECONDS * 1000


def test_one_who_waits_is_given_the_first_frame(connection: Connection) -> None:
    frames, seen = Tap(connection).follow("cam", 10.0), []
    waiting = threading.Thread(target=lambda: seen.append(next(frames)))
    waiting.start()
    writer, written = TapWriter(connection, "cam"), 0
    while waiting.is_alive():
        writer = writer if written else TapWriter(connection, "cam")
        writer.offer(header(), IMAGE)
        written = tapped(connection)
        waiting.join(0.005)
    assert seen == [(header(), IMAGE)]


def test_the_tap_is_bounded_and_goes_by_itself(connection: Connection) -> None:
    Tap(connection).watch("cam")
    writer = TapWriter(connection, "cam")
    for seq in range(3 * MAX_FRAMES):
        writer.offer(header(seq=seq), IMAGE)
    assert tapped(connection) == MAX_FRAMES
    left = connection.read("PTTL", connection.keys.tap("cam"))
    assert KEEP_SECONDS * 1000 - 5000 < left <= KEEP_SECONDS * 1000
    for _ in range(2):
        writer.offer(header(), bytes(MAX_BYTES // 2 + 1))
    assert tapped(connection) == 1


def test_it_ends_with_the_watch(connection: Connection) -> None:
    Tap(connection).watch("cam")
    assert 0 < connection.read("PTTL", connection.keys.watch("cam")) <= WATCH_SECONDS * 1000
    writer = TapWriter(connection, "cam")
    writer.offer(header(), IMAGE)
    connection.read("DEL", connection.keys.watch("cam"))
    for _ in range(3):
        writer.offer(header(), IMAGE)
    assert tapped(connection) == 1


def test_what_strangers_wrote_is_passed_over(connection: Connection) -> None:
    Tap(connection).watch("cam")
    connection.read("XADD", connection.keys.tap("cam"), "*", "h", b"\xc1", "x", 1)
    assert list(Tap(connection).follow("cam", 0.01)) == []
    with pytest.raises(CameraNameError):
        Tap(connection).watch("../cam")


def test_a_tap_that_is_no_stream_hurts_nobody(connection: Connection) -> None:
    Tap(connection).watch("cam")
    connection.read("SET", connection.keys.tap("cam"), "stranger")
    TapWriter(connection, "cam").offer(header(), IMAGE)
    assert connection.read("GET", connection.keys.tap("cam")) == b"stranger"


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_are_read(broker: EmbeddedBroker, prefix: str, protocol: int) -> None:
    connection = Connection(broker.url, prefix=prefix, protocol=protocol)
    publish(begin(connection, "cam"))
    Tap(connection).watch("cam")
    frames = Tap(connection).follow("cam", 5.0)
    TapWriter(connection, "cam").offer(header(), IMAGE)
    assert next(frames)[0] == header()
    connection.close()


# Through the capture loop


def three_frames() -> Source:
    return cast("Source", PlainSource(3))


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_the_producer_fills_it_and_the_ledger_does_not_notice(
    connection: Connection, stop: threading.Event
) -> None:
    seen: dict[str, object] = {}
    for camera in ("looked-at", "alone"):
        if camera == "looked-at":
            Tap(connection).watch(camera)
        epoch = begin(connection, camera)
        assert Capture(three_frames(), epoch, SHAPE, Hooks(), stop).run() is None
        assert_closes(connection, camera)
        seen[camera] = replace(read_ledger(connection, camera), camera="", epoch=0, oldest_ms=0)
    assert seen["looked-at"] == seen["alone"]
    assert tapped(connection, "alone") == 0
    keys = connection.keys
    frames = [fields for _, fields in entries_of(connection, keys.frames("looked-at"))]
    assert [fields for _, fields in entries_of(connection, keys.tap("looked-at"))] == frames
    assert len(frames) == 3


def fill(epoch: Epoch, image: bytes) -> None:
    """Publish until the broker is full."""
    while True:
        publish(epoch, image=image)


def test_a_full_broker_refuses_the_copy_and_only_the_copy() -> None:
    with EmbeddedBroker(max_memory_bytes=16 << 20) as broker:
        connection, image = Connection(broker.url), bytes(1 << 18)
        epoch = begin(connection, "cam", live=True, depth=1000)
        Tap(connection).watch("cam")
        writer = TapWriter(connection, "cam")
        writer.offer(header(), image)
        with pytest.raises(BusFull):
            fill(epoch, image)
        epoch.totals.drop(SourceDrop.BROKER_FULL)
        writer.offer(header(), image)
        assert tapped(connection) == 1, "refused, and nobody was told"
        epoch.report()
        assert assert_closes(connection, "cam").published == epoch.next_seq
        hands = worker(connection)
        hands.commit([result_of(delivery) for delivery in take(hands, 8)])
        publish(epoch, image=image)
        connection.close()


def test_a_broker_that_is_gone_is_not_missed() -> None:
    with EmbeddedBroker() as broker:
        connection = Connection(broker.url)
        Tap(connection).watch("cam")
        watched, unwatched = TapWriter(connection, "cam"), TapWriter(connection, "yard")
        watched.offer(header(), IMAGE)
    watched.offer(header(), IMAGE)
    unwatched.offer(header(), IMAGE)
    with pytest.raises(BusUnavailable):
        next(Tap(connection).follow("cam", 1.0))
    connection.close()


def test_a_viewer_needs_no_other_right(broker: EmbeddedBroker, connection: Connection, prefix: str) -> None:
    rules = VIEWER.format(prefix).split()
    connection.read("ACL", "SETUSER", prefix, "on", ">peek", *rules)
    publish(begin(connection, "cam"))
    viewer = Observer(broker.url.replace("unix://", f"unix://{prefix}:peek@"), prefix=prefix)
    frames = Tap(viewer).follow("cam", 5.0)
    Tap(connection).watch("cam")
    for seq, writer in zip(range(2), itertools.repeat(TapWriter(connection, "cam"))):
        writer.offer(header(seq=seq), IMAGE)
        assert next(frames)[0].seq == seq
    with pytest.raises(BusRefused):
        viewer.read("XRANGE", connection.keys.frames("cam"), "-", "+")
    viewer.close()
    connection.read("ACL", "DELUSER", prefix)
