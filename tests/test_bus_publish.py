"""A producer's side: epochs, leases, the next frame and no other, and totals that a retry cannot change."""

from __future__ import annotations

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.publisher import LEASE_SECONDS, Epoch, Rewind, Totals
from facestream.contract import FrameHeader, SourceDrop
from facestream.errors import BusUnavailable, Fenced, UsageError
from support.bus import (
    IMAGE,
    assert_closes,
    begin,
    counts,
    entries_of,
    expire_lease,
    header,
    publish,
    relayed,
    result_of,
    take,
    turns,
    worker,
)


def try_begin(connection: Connection, **how: object) -> Epoch | float:
    return Epoch.begin(connection, "cam", live=False, depth=10, **how)  # type: ignore[arg-type]


def forget(connection: Connection, camera: str = "cam") -> None:
    """As if the broker had been started anew."""
    keys = connection.keys
    of_camera = keys.ledger(camera), keys.frames(camera), keys.unread(camera)
    connection.read("DEL", *of_camera, keys.ready(0), keys.cameras(0))


def epochs_remembered(connection: Connection, camera: str = "cam") -> list[str]:
    said: bytes = connection.read("HGET", connection.keys.ledger(camera), "epochs") or b""
    return [epoch.split(":", 1)[1] for epoch in said.decode().split(",") if epoch]


# begin


def test_the_first_epoch_is_the_brokers_time(connection: Connection) -> None:
    seconds, microseconds = connection.read("TIME")
    epoch = begin(connection, "cam", depth=7)
    assert epoch.epoch >= seconds * 1_000_000 + microseconds
    assert (epoch.next_seq, epoch.room, epoch.totals) == (0, 7, Totals())
    assert read_ledger(connection, "cam").state == "open"
    assert_closes(connection, "cam")


def test_every_epoch_is_greater_than_the_last_though_the_clock_goes_back(connection: Connection) -> None:
    before = begin(connection, "cam")
    before.report(ended=True)
    ahead = before.epoch + 10**12
    connection.read("HSET", connection.keys.ledger("cam"), "epoch", ahead)
    assert begin(connection, "cam").epoch == ahead + 1


def test_a_camera_that_another_producer_has_is_held(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    left = try_begin(connection)
    assert isinstance(left, float)
    assert 0 < left <= LEASE_SECONDS
    assert isinstance(try_begin(connection, resume=True), float)


def test_a_lease_that_ran_out_is_anybodys(connection: Connection) -> None:
    first = begin(connection, "cam")
    publish(first, 3)
    expire_lease(connection, "cam")
    second = begin(connection, "cam")
    assert second.epoch > first.epoch
    assert second.next_seq == 0
    assert epochs_remembered(connection) == ["killed:2"]
    assert counts(connection, "cam") == {"published": 3, "in_flight": 3}


def test_an_epoch_that_ended_is_followed_at_once(connection: Connection) -> None:
    first = begin(connection, "cam")
    publish(first, 2)
    first.report(ended=True)
    assert read_ledger(connection, "cam").state == "ended"
    publish(begin(connection, "cam"), 1)
    assert epochs_remembered(connection) == ["ended:1"]
    assert counts(connection, "cam") == {"published": 3, "in_flight": 3}


def test_only_the_last_epochs_are_remembered_by_name_but_all_are_counted(connection: Connection) -> None:
    for _ in range(20):
        epoch = begin(connection, "cam")
        epoch.totals.capture()
        epoch.totals.drop(SourceDrop.FPS_LIMIT)
        publish(epoch)
        epoch.report(ended=True)
    assert len(epochs_remembered(connection)) == 16
    ledger = assert_closes(connection, "cam")
    assert (ledger.captured, ledger.published, ledger.dropped_at_source) == (40, 20, {"fps_limit": 20})


def test_what_a_killed_producer_had_in_hand_was_not_captured(connection: Connection) -> None:
    first = begin(connection, "cam")
    publish(first)
    first.totals.capture()
    first.totals.capture()
    first.report()
    assert assert_closes(connection, "cam").in_hand_of_producer == 2
    expire_lease(connection, "cam")
    begin(connection, "cam")
    ledger = assert_closes(connection, "cam")
    assert (ledger.captured, ledger.in_hand_of_producer) == (1, 0)


def test_begin_after_a_lost_reply_is_the_same_epoch(broker: EmbeddedBroker, prefix: str) -> None:
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        begin(connection, "warm-up")  # the script is known there from now on
        relay.lose = 1
        epoch = begin(connection, "cam")
        assert relay.lost == 1
        assert epochs_remembered(connection) == [], "no epoch was begun twice"
        publish(epoch)
        assert read_ledger(connection, "cam").epoch == epoch.epoch
        connection.close()


def test_resuming_keeps_the_epoch_and_goes_on(connection: Connection) -> None:
    first = begin(connection, "cam", fingerprint="clip-1")
    publish(first, 3)
    first.totals.capture()
    first.totals.drop(SourceDrop.SOURCE_CORRUPT)
    first.totals.capture()
    first.report()
    expire_lease(connection, "cam")
    second = begin(connection, "cam", fingerprint="clip-1", resume=True)
    assert (second.epoch, second.next_seq) == (first.epoch, 3)
    assert second.totals == Totals(4, 0, {SourceDrop.SOURCE_CORRUPT: 1})
    publish(second)
    with pytest.raises(Fenced):
        first.publish(header(), IMAGE)
    assert assert_closes(connection, "cam").published == 4


def test_resuming_what_was_never_begun_begins_it(connection: Connection) -> None:
    epoch = begin(connection, "cam", fingerprint="clip-1", resume=True)
    assert epoch.next_seq == 0
    publish(epoch)
    assert_closes(connection, "cam")


def test_resuming_another_file_is_refused(connection: Connection) -> None:
    first = begin(connection, "cam", fingerprint="clip-1")
    publish(first, 3)
    first.report(ended=True)
    with pytest.raises(UsageError, match="not the one that was begun"):
        begin(connection, "cam", fingerprint="clip-2", resume=True)
    assert read_ledger(connection, "cam").state == "ended", "nothing was changed"
    assert begin(connection, "cam", fingerprint="clip-2").next_seq == 0, "begun anew it is welcome"


# publish


def test_frames_are_numbered_and_written_whole(connection: Connection) -> None:
    epoch = begin(connection, "cam", depth=10)
    publish(epoch, 3, image=b"\x00\xff" * 1000)
    assert epoch.room == 7
    entries = entries_of(connection, connection.keys.frames("cam"))
    headers = [FrameHeader.unpack(fields[b"h"]) for _, fields in entries]
    assert [(h.camera, h.epoch, h.seq) for h in headers] == [("cam", epoch.epoch, n) for n in range(3)]
    assert {fields[b"i"] for _, fields in entries} == {b"\x00\xff" * 1000}
    assert counts(connection, "cam") == {"published": 3, "in_flight": 3}


def test_a_frame_that_is_there_already_is_not_published_again(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch, 3)
    for seq in (2, 0):
        epoch.next_seq = seq
        epoch.totals.in_hand += 1  # as a retry has it
        epoch.publish(header(), b"another picture")
        assert epoch.next_seq == seq + 1
    assert counts(connection, "cam") == {"published": 3, "in_flight": 3}
    assert {fields[b"i"] for _, fields in entries_of(connection, connection.keys.frames("cam"))} == {IMAGE}


def test_a_lost_reply_of_a_lossless_publish_changes_nothing(broker: EmbeddedBroker, prefix: str) -> None:
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        epoch = begin(connection, "cam")
        publish(epoch)
        relay.lose = 2
        publish(epoch, 2)
        assert relay.lost == 2
        assert counts(connection, "cam") == {"published": 3, "in_flight": 3}
        connection.close()


def test_a_lossless_source_is_told_to_rewind_and_nothing_is_written(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch, 2)
    epoch.next_seq = 5
    epoch.totals.capture()
    with pytest.raises(Rewind) as rewind:
        epoch.publish(header(), IMAGE)
    assert rewind.value.seq == 2
    assert epoch.next_seq == 5, "the frame is still in the producer's hands"
    assert counts(connection, "cam") == {"published": 2, "in_flight": 2}


def test_a_broker_that_forgot_everything_has_a_lossless_source_begin_again(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch, 4)
    forget(connection)
    with pytest.raises(Rewind) as rewind:
        epoch.report()
    assert rewind.value.seq == 0
    with pytest.raises(Rewind) as rewind:
        publish(epoch)
    assert rewind.value.seq == 0
    assert connection.read("EXISTS", connection.keys.ledger("cam")) == 0


def test_a_broker_that_forgot_some_has_a_lossless_source_rewind(connection: Connection) -> None:
    """A replica that took over with less than was acknowledged."""
    epoch = begin(connection, "cam")
    publish(epoch, 4)
    connection.read("HSET", connection.keys.ledger("cam"), "seq", 1)
    with pytest.raises(Rewind) as rewind:
        epoch.report()
    assert rewind.value.seq == 2


def test_a_live_source_books_what_the_broker_forgot(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True)
    publish(epoch, 4)
    forget(connection)
    epoch.report()
    publish(epoch)
    assert counts(connection, "cam") == {"published": 5, "lost_in_broker": 4, "in_flight": 1}
    ledger = read_ledger(connection, "cam")
    assert (ledger.epoch, ledger.seq, ledger.captured) == (epoch.epoch, 4, 5)
    publish(epoch)
    assert counts(connection, "cam") == {"published": 6, "lost_in_broker": 4, "in_flight": 2}


def test_a_camera_whose_epoch_the_broker_forgot_is_still_held_by_name(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True, fingerprint="clip-1")
    forget(connection)
    publish(epoch)
    assert isinstance(try_begin(connection), float)
    about = connection.read("HMGET", connection.keys.ledger("cam"), "holder", "fingerprint")
    assert about == [epoch.holder.encode(), b"clip-1"]


def test_an_epoch_that_the_broker_forgot_can_be_resumed(connection: Connection) -> None:
    epoch = begin(connection, "cam", fingerprint="clip-1")
    publish(epoch, 2)
    forget(connection)
    epoch.next_seq, epoch.totals = 0, Totals()
    publish(epoch)
    expire_lease(connection, "cam")
    resumed = begin(connection, "cam", fingerprint="clip-1", resume=True)
    assert (resumed.epoch, resumed.next_seq) == (epoch.epoch, 1)


def test_an_older_epoch_in_the_broker_is_closed_when_it_forgot_ours(connection: Connection) -> None:
    first = begin(connection, "cam", live=True)
    publish(first, 2)
    first.totals.capture()
    first.report()
    before = connection.read("HGETALL", connection.keys.ledger("cam"))
    expire_lease(connection, "cam")
    second = begin(connection, "cam", live=True)
    publish(second, 2)
    # A replica takes over that never heard of the second epoch.
    connection.read("DEL", connection.keys.ledger("cam"))
    connection.read(
        "HSET", connection.keys.ledger("cam"), *[part for pair in before.items() for part in pair]
    )
    frames = connection.keys.frames("cam")
    for entry, _ in entries_of(connection, frames)[2:]:
        connection.read("XDEL", frames, entry)
    publish(second)
    assert counts(connection, "cam") == {"published": 5, "lost_in_broker": 2, "in_flight": 3}
    assert read_ledger(connection, "cam").captured == 5, "the first epoch's frame in hand died with it"
    with pytest.raises(Fenced):
        publish(first)


def test_a_fenced_producer_is_refused_everything(connection: Connection) -> None:
    old = begin(connection, "cam")
    publish(old)
    expire_lease(connection, "cam")
    new = begin(connection, "cam")
    publish(new)
    before = connection.read("HGETALL", connection.keys.ledger("cam"))
    with pytest.raises(Fenced, match="cam"):
        publish(old)
    for ended in (False, True):
        with pytest.raises(Fenced, match="cam"):
            old.report(ended=ended)
    assert connection.read("HGETALL", connection.keys.ledger("cam")) == before
    assert connection.read("XLEN", connection.keys.frames("cam")) == 2


def test_a_lease_that_ran_out_unnoticed_is_renewed(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    expire_lease(connection, "cam")
    publish(epoch)
    assert isinstance(try_begin(connection), float)


# Live sources and lost replies


def test_a_lost_reply_of_a_live_publish_is_found_out_by_the_next(broker: EmbeddedBroker, prefix: str) -> None:
    """The frame was booked as `broker_down`, though it is there: it was published, and so is the next."""
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        epoch = begin(connection, "cam", live=True)
        publish(epoch)
        relay.lose = 1
        with pytest.raises(BusUnavailable):
            publish(epoch, image=b"the second")
        epoch.totals.drop(SourceDrop.BROKER_DOWN)
        publish(epoch, image=b"the third")
        images = [fields[b"i"] for _, fields in entries_of(connection, connection.keys.frames("cam"))]
        assert images == [IMAGE, b"the second", b"the third"]
        ledger = assert_closes(connection, "cam")
        assert (ledger.captured, ledger.published, ledger.dropped_at_source) == (3, 3, {"broker_down": 0})
        connection.close()


@pytest.mark.parametrize(
    ("live", "reason"),
    [(True, SourceDrop.BROKER_DOWN), (False, SourceDrop.SHUTDOWN)],
    ids=["live", "lossless"],
)
def test_a_lost_reply_of_the_last_publish_is_found_out_by_the_end(
    broker: EmbeddedBroker, prefix: str, live: bool, reason: SourceDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "facestream.bus.connection.RETRY_SECONDS", -1.0
    )  # a lossless one gives up at once too
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        epoch = begin(connection, "cam", live=live)
        publish(epoch)
        relay.lose = 1
        with pytest.raises(BusUnavailable):
            publish(epoch)
        epoch.totals.drop(reason)
        epoch.report(ended=True)
        assert_closes(connection, "cam")
        ledger = read_ledger(connection, "cam")
        assert (ledger.captured, ledger.published, ledger.state) == (2, 2, "ended")
        connection.close()


def test_a_frame_that_is_sent_again_after_a_lost_reply_is_one_frame(
    broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was dropped before: a lossless producer keeps the frame in hand and tries again."""
    monkeypatch.setattr("facestream.bus.connection.RETRY_SECONDS", -1.0)
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        epoch = begin(connection, "cam")
        epoch.totals.capture()
        epoch.totals.drop(SourceDrop.SHUTDOWN)
        publish(epoch)
        epoch.totals.capture()
        relay.lose = 1
        with pytest.raises(BusUnavailable):
            epoch.publish(header(), IMAGE)
        epoch.publish(header(), IMAGE)
        ledger = assert_closes(connection, "cam")
        assert (ledger.captured, ledger.published, ledger.dropped_at_source) == (3, 2, {"shutdown": 1})
        connection.close()


def test_a_publish_that_never_arrived_stays_a_drop(broker: EmbeddedBroker, prefix: str) -> None:
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        epoch = begin(connection, "cam", live=True)
        publish(epoch)
        connection.read("SCRIPT", "FLUSH")
        relay.lose = 1  # the reply that the script is not known: nothing was done
        with pytest.raises(BusUnavailable):
            publish(epoch)
        epoch.totals.drop(SourceDrop.BROKER_DOWN)
        publish(epoch)
        epoch.report(ended=True)
        ledger = assert_closes(connection, "cam")
        assert (ledger.captured, ledger.published, ledger.dropped_at_source) == (3, 2, {"broker_down": 1})
        connection.close()


# depth and room


def test_a_live_camera_keeps_its_newest_unread_frames(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True, depth=2)
    publish(epoch, 5)
    assert epoch.room == 0
    assert counts(connection, "cam") == {"published": 5, "trimmed_unread": 3, "in_flight": 2}
    assert turns(take(worker(connection), 10)) == ["cam:3", "cam:4"]


def test_frames_in_hand_are_never_trimmed(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True, depth=1)
    taker = worker(connection)
    publish(epoch)
    held = take(taker)
    publish(epoch, 3)
    assert counts(connection, "cam") == {"published": 4, "trimmed_unread": 2, "in_flight": 2}
    assert taker.commit([result_of(held[0])]) == 1
    assert turns(take(taker, 10)) == ["cam:3"]


def test_a_lossless_source_is_never_trimmed_and_told_how_much_room_there_is(connection: Connection) -> None:
    epoch = begin(connection, "cam", depth=2)
    publish(epoch, 5)
    assert epoch.room == -3
    taker = worker(connection)
    batch = take(taker, 4)
    epoch.report()
    assert epoch.room == 1
    taker.commit([result_of(delivery) for delivery in batch])
    assert counts(connection, "cam") == {"published": 5, "results": 4, "in_flight": 1}


# totals


def test_totals_are_stored_and_not_added(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch, 2)
    epoch.totals.capture()
    epoch.totals.drop(SourceDrop.ENCODE_ERROR)
    for _ in range(3):
        epoch.report()
        ledger = assert_closes(connection, "cam")
        assert (ledger.captured, ledger.dropped_at_source) == (3, {"encode_error": 1})


@pytest.mark.parametrize("reason", list(SourceDrop))
def test_every_reason_is_carried_to_the_ledger(connection: Connection, reason: SourceDrop) -> None:
    epoch = begin(connection, "cam")
    for _ in range(3):
        epoch.totals.capture()
    epoch.totals.drop(reason, 3)
    epoch.report(ended=True)
    assert assert_closes(connection, "cam").dropped_at_source == {reason.value: 3}


def test_the_end_lets_the_camera_go_and_may_be_said_twice(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch)
    for _ in range(2):
        epoch.report(ended=True)
    assert read_ledger(connection, "cam").state == "ended"
    assert isinstance(try_begin(connection), Epoch)
