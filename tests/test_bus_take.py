"""A worker's side: turns, one end per frame, handing back, and frames that others left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facestream.broker import EmbeddedBroker
from facestream.bus import taker as taker_module
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.tail import tail_rejects, tail_results
from facestream.bus.taker import LAPSE_SECONDS, SWEEP_LEASE_SECONDS, Delivery, Retention
from facestream.contract import (
    MAX_HEADER_BYTES,
    DropReason,
    FrameHeader,
    SourceDrop,
    unpack_reject,
    unpack_result,
)
from facestream.errors import BusFull
from facestream_worker.loop import SWEEP_SECONDS
from support.bus import (
    IMAGE,
    age_entries,
    assert_closes,
    begin,
    counts,
    declare_dead,
    entries_of,
    header,
    make_idle,
    publish,
    reject_of,
    relayed,
    result_of,
    sweep_now,
    take,
    turns,
    worker,
)


def held_by(connection: Connection, name: str) -> dict[str, int]:
    held: dict[bytes, bytes] = connection.read("HGETALL", connection.keys.held(0, name))
    return {field.decode().split("/")[0]: int(attempts) for field, attempts in held.items()}


# Turns


def test_a_stream_that_was_deleted_and_begun_anew_is_read(connection: Connection) -> None:
    """With the stream went its group; a frame that is published then is for workers nevertheless."""
    epoch, reader = begin(connection, "cam"), worker(connection)
    publish(epoch)
    connection.read("DEL", connection.keys.frames("cam"))
    publish(epoch)
    batch = take(reader, 4)
    assert turns(batch) == ["cam:1"]
    assert reader.commit([result_of(batch[0])]) == 1
    assert connection.read("XLEN", connection.keys.frames("cam")) == 0


def test_a_stream_that_was_deleted_and_begun_anew_is_swept(connection: Connection) -> None:
    """Its turn went to a worker that died with it in its hands, before there was a group."""
    epoch, reader = begin(connection, "cam"), worker(connection)
    publish(epoch)
    connection.read("DEL", connection.keys.frames("cam"))
    publish(epoch)
    assert connection.read("ZPOPMIN", connection.keys.ready(0))
    assert take(reader) == []
    sweep_now(reader, connection)
    assert turns(take(reader)) == ["cam:1"]


def test_cameras_that_a_full_batch_leaves_in_line_keep_their_turn(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taker_module, "BATCH_BYTES", 1000)
    epochs = [begin(connection, name) for name in ("c", "b", "a")]
    for _ in range(2):
        for epoch in epochs:
            publish(epoch, image=bytes(1000))
    reader, order = worker(connection), []
    while batch := take(reader, 3):
        order += turns(batch)
        reader.commit([result_of(delivery) for delivery in batch])
    assert order == ["c:0", "b:0", "a:0", "c:1", "b:1", "a:1"]


def test_nothing_to_do(connection: Connection) -> None:
    taker = worker(connection)
    assert take(taker, 8) == []
    begin(connection, "cam")
    assert take(taker, 8) == []
    assert taker.commit([]) == 0


def test_cameras_take_turns_one_frame_each(connection: Connection) -> None:
    for camera, frames in {"a": 4, "b": 1, "c": 2}.items():
        publish(begin(connection, camera), frames)
    taker = worker(connection)
    batches = []
    while batch := take(taker, 2):
        batches.append(turns(batch))
        taker.commit([result_of(delivery) for delivery in batch])
        assert_closes(connection)
    assert batches == [["a:0", "b:0"], ["c:0", "a:1"], ["c:1", "a:2"], ["a:3"]]


def test_a_second_round_only_when_nobody_else_waits(connection: Connection) -> None:
    publish(begin(connection, "a"), 5)
    publish(begin(connection, "b"), 2)
    assert turns(take(worker(connection), 4)) == ["a:0", "b:0", "a:1", "b:1"]


def test_one_camera_alone_fills_a_batch(connection: Connection) -> None:
    publish(begin(connection, "a"), 9)
    assert turns(take(worker(connection), 8)) == [f"a:{seq}" for seq in range(8)]


def test_a_batch_is_full_when_its_pictures_are_large(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else 64 of the largest pictures there may be would be one reply of 2 GB."""
    monkeypatch.setattr(taker_module, "BATCH_BYTES", 2500)
    publish(begin(connection, "cam"), 7, image=bytes(1000))
    reader = worker(connection)
    sizes = []
    while batch := take(reader, 64):
        assert {d.entry for d in take(reader, 64)} == {d.entry for d in batch}, "and so is what it holds"
        sizes.append(len(batch))
        reader.commit([result_of(delivery) for delivery in batch])
    assert sizes == [3, 3, 1]
    assert assert_closes(connection).results == 7


def test_a_picture_larger_than_a_batch_may_be_comes_alone(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taker_module, "BATCH_BYTES", 2500)
    publish(begin(connection, "cam"), 2, image=bytes(3000))
    reader = worker(connection)
    assert turns(take(reader, 64)) == ["cam:0"]
    reader.commit([result_of(delivery) for delivery in take(reader, 64)])
    assert turns(take(reader, 64)) == ["cam:1"]


def test_many_frames_of_one_camera_do_not_starve_another(connection: Connection) -> None:
    busy, quiet = begin(connection, "busy", live=True, depth=50), begin(connection, "quiet")
    taker, seen = worker(connection), []
    publish(busy, 50)
    for _ in range(5):
        publish(quiet)
        publish(busy, 3)
        batch = take(taker, 2)
        seen.append(sorted(delivery.camera for delivery in batch))
        taker.commit([result_of(delivery) for delivery in batch])
    assert seen == [[b"busy", b"quiet"]] * 5


def test_a_camera_that_is_waited_for_comes_at_once(connection: Connection) -> None:
    """The camera is popped from the line before its frames are taken: neither step may lose it."""
    publish(begin(connection, "a"), 3)
    taker = worker(connection)
    turn = connection.read("BZPOPMIN", connection.keys.ready(0), 1)
    taken = taker._take(0, 1, popped=turn[1])
    assert turns(taken) == ["a:0"]
    assert connection.read("ZRANGE", connection.keys.ready(0), 0, -1) == [b"a"]


def test_a_worker_drains_several_partitions_in_turn(broker: EmbeddedBroker, prefix: str) -> None:
    connection = Connection(broker.url, prefix=prefix, partitions=3)
    cameras = [f"cam{number}" for number in range(9)]
    assert {connection.keys.partition(camera) for camera in cameras} == {0, 1, 2}
    for camera in cameras:
        publish(begin(connection, camera), 2)
    taker, partitions = worker(connection), []
    while batch := take(taker, 1):
        partitions.append(batch[0].partition)
        taker.commit([result_of(delivery) for delivery in batch])
    assert len(partitions) == 18
    assert set(partitions[:3]) == {0, 1, 2}, "no partition waits until another is empty"
    assert assert_closes(connection).results == 18
    taker.leave()
    connection.close()


# Too old


def test_a_frame_the_producer_held_too_long_is_dropped_before_it_is_delivered(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True)
    publish(epoch, held_us=2_000_000, max_age_ms=1000)
    publish(epoch, held_us=2_000_000, max_age_ms=3_600_000)
    assert turns(take(worker(connection), 4)) == ["cam:1"]
    assert counts(connection, "cam") == {"published": 2, "too_old": 1, "in_flight": 1}


def test_age_is_time_in_the_broker_and_time_in_the_producers_hands_together(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True)
    publish(epoch, held_us=40_000_000, max_age_ms=90_000)
    publish(epoch, held_us=10_000_000, max_age_ms=90_000)
    age_entries(connection, "cam", milliseconds=60_000)
    assert turns(take(worker(connection), 4)) == ["cam:1"]
    assert counts(connection, "cam") == {"published": 2, "too_old": 1, "in_flight": 1}


def test_what_has_no_limit_is_never_too_old(connection: Connection) -> None:
    publish(begin(connection, "cam"), 2, held_us=3_600_000_000)
    age_entries(connection, "cam", milliseconds=10**9)
    assert turns(take(worker(connection), 4)) == ["cam:0", "cam:1"]


def test_many_frames_that_are_too_old_do_not_hold_up_the_others(connection: Connection) -> None:
    """No call drops without end, and no camera is forgotten over it."""
    publish(begin(connection, "old", live=True, depth=1000), 600, held_us=10**9, max_age_ms=1)
    publish(begin(connection, "young"), 1)
    taker = worker(connection)
    young = take(taker, 2)
    assert turns(young) == ["young:0"]
    taker.commit([result_of(delivery) for delivery in young])
    for _ in range(4):
        assert take(taker, 2) == []
    assert counts(connection, "old") == {"published": 600, "too_old": 600}


def test_a_frame_that_grew_too_old_while_nobody_had_it_is_dropped(connection: Connection) -> None:
    publish(begin(connection, "cam", live=True), held_us=0, max_age_ms=60_000)
    first = worker(connection, "first")
    assert len(take(first)) == 1
    first.leave()
    frames = connection.keys.frames("cam")
    [(entry, fields)] = entries_of(connection, frames)
    aged = FrameHeader.unpack(fields[b"h"]).to_map() | {"held_us": 10**9}
    connection.read("XDEL", frames, entry)
    # Same id, aged: a stream takes no id twice, so it is made anew with the same pending entry.
    connection.read("DEL", frames)
    connection.read("XADD", frames, entry, "h", msgpack.packb(aged), "i", IMAGE)
    connection.read("XGROUP", "CREATE", frames, "workers", "0")
    connection.read("XREADGROUP", "GROUP", "workers", "workers", "STREAMS", frames, ">")
    assert take(worker(connection, "second")) == []
    assert counts(connection, "cam") == {"published": 1, "too_old": 1}


# What strangers write


def place(connection: Connection, *fields: bytes | str, camera: str = "cam") -> None:
    """An entry as anybody can write it, behind a published frame that brings the camera into line."""
    publish(begin(connection, camera))
    connection.read("XADD", connection.keys.frames(camera), "*", *fields)
    entry = connection.read("XREVRANGE", connection.keys.frames(camera), "+", "-", "COUNT", 1)[0][0]
    connection.read("HSET", connection.keys.ledger(camera), "last_id", entry)
    connection.read("HINCRBY", connection.keys.ledger(camera), "published", 1)
    connection.read("HINCRBY", connection.keys.ledger(camera), "captured", 1)


GARBAGE = {
    "nothing": b"",
    "no msgpack": b"\xc1",
    "cut short": b"\x81\xa1v",
    "a number": b"\x01",
    "deep": b"\x91" * MAX_HEADER_BYTES,
    "deep maps": b"\x81\xa1v" * (MAX_HEADER_BYTES // 3),
    "a list of four thousand million": b"\xdd\xff\xff\xff\xff",
    "a map of four thousand million": b"\xdf\xff\xff\xff\xff",
    "a map with nil for a key": b"\x81\xc0\x01",
    "a map with not-a-number for a key": b"\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01",
    "an age that is text": msgpack.packb({"max_age_ms": "1", "held_us": 10**9}),
    "an age that is not a number": msgpack.packb({"max_age_ms": float("nan"), "held_us": 10**9}),
    "held for text": msgpack.packb({"max_age_ms": 10**9, "held_us": "x"}),
    "too long": b"x" * (MAX_HEADER_BYTES + 1),
    "very long": b"x" * (1 << 20),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_garbage_header_is_delivered_and_harms_nobody(connection: Connection, what: str) -> None:
    place(connection, "h", GARBAGE[what], "i", IMAGE)
    taker = worker(connection)
    batch = take(taker, 4)
    assert [delivery.camera for delivery in batch] == [b"cam", b"cam"]
    assert batch[1].header == GARBAGE[what][: MAX_HEADER_BYTES + 1]
    assert batch[1].image == IMAGE
    outcomes = [result_of(batch[0]), reject_of(batch[1], DropReason.CONTRACT_ERROR)]
    assert taker.commit(outcomes) == 2
    assert counts(connection, "cam") == {"published": 2, "results": 1, "contract_error": 1}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=60))
def test_no_header_stops_a_worker(connection: Connection, garbage: bytes) -> None:
    frames = connection.keys.frames("cam")
    connection.read("XADD", frames, "*", "h", garbage, "i", IMAGE)
    connection.read("HINCRBY", connection.keys.ledger("cam"), "published", 1)
    connection.read("HINCRBY", connection.keys.ledger("cam"), "captured", 1)
    if connection.read("EXISTS", connection.keys.workers(0)) == 0:
        connection.read("XGROUP", "CREATE", frames, "workers", "0")
    connection.read("ZADD", connection.keys.ready(0), 1, "cam")
    taker = worker(connection)
    batch = take(taker, 2)
    assert [delivery.header for delivery in batch] in ([garbage], []), "delivered, or too old by its own word"
    taker.commit([reject_of(delivery, DropReason.CONTRACT_ERROR) for delivery in batch])
    assert "in_flight" not in counts(connection, "cam")
    assert held_by(connection, "w") == {}


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        (("x", "y", "h", b"HEADER", "z", "", "i", b"IMAGE", "more", "1"), b"IMAGE"),
        (("i", b"IMAGE", "h", b"HEADER"), b"IMAGE"),
        (("h", b"HEADER"), b""),
    ],
)
def test_foreign_fields_are_passed_over(
    connection: Connection, fields: tuple[str, ...], image: bytes
) -> None:
    place(connection, *fields)
    assert [(d.header, d.image, d.image_bytes) for d in take(worker(connection), 4)][1:] == [
        (b"HEADER", image, len(image))
    ]


def test_an_entry_without_any_of_our_fields_is_delivered_empty(connection: Connection) -> None:
    place(connection, "what", "ever")
    assert [(d.header, d.image) for d in take(worker(connection), 4)][1:] == [(b"", b"")]


@pytest.mark.parametrize("camera", [b"nobody", b"a/b", b"\xff\xfe", b"", b"x" * 5000])
def test_a_stranger_in_the_line_is_passed_over(connection: Connection, camera: bytes) -> None:
    connection.read("ZADD", connection.keys.ready(0), 0, camera)
    publish(begin(connection, "cam"))
    assert turns(take(worker(connection), 4)) == ["cam:0"]
    assert connection.read("ZCARD", connection.keys.ready(0)) == 0


def test_keys_of_another_kind_harm_no_other_camera(connection: Connection) -> None:
    connection.read("SET", connection.keys.frames("odd"), "not a stream")
    connection.read("ZADD", connection.keys.ready(0), 0, "odd")
    connection.read("SADD", connection.keys.cameras(0), "odd")
    publish(begin(connection, "cam"))
    taker = worker(connection)
    assert turns(take(taker, 4)) == ["cam:0"]
    taker.sweep()


# commit


def test_a_committed_frame_leaves_a_result_and_nothing_else(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch, 2)
    taker, tail = worker(connection), tail_results(connection)
    batch = take(taker, 2)
    assert held_by(connection, "w") == {"cam": 1}
    assert taker.commit([result_of(delivery) for delivery in batch]) == 2
    assert counts(connection, "cam") == {"published": 2, "results": 2}
    assert held_by(connection, "w") == {}
    results = tail.read(1.0)
    assert [(r["camera"], r["epoch"], r["seq"]) for r in results] == [("cam", epoch.epoch, n) for n in (0, 1)]
    stored = entries_of(connection, connection.keys.results(0))
    assert [unpack_result(fields[b"r"]) for _, fields in stored] == results
    assert all(list(fields) == [b"r"] for _, fields in stored)


def test_a_rejected_frame_leaves_a_reject_without_its_picture(connection: Connection) -> None:
    publish(begin(connection, "cam"), image=b"PIXELS" * 100)
    taker, tail = worker(connection), tail_rejects(connection)
    assert taker.commit([reject_of(take(taker)[0], DropReason.MODEL_ERROR)]) == 1
    assert counts(connection, "cam") == {"published": 1, "model_error": 1}
    [reject] = tail.read(1.0)
    assert (reject["camera"], reject["reason"]) == ("cam", "model_error")
    [(_, fields)] = entries_of(connection, connection.keys.rejects(0))
    assert unpack_reject(fields[b"r"]) == reject
    assert b"PIXELS" not in fields[b"r"]
    assert connection.read("XLEN", connection.keys.results(0)) == 0


@pytest.mark.parametrize("reason", list(DropReason))
def test_every_reason_has_its_own_count(connection: Connection, reason: DropReason) -> None:
    publish(begin(connection, "cam"))
    taker = worker(connection)
    taker.commit([reject_of(take(taker)[0], reason)])
    assert counts(connection, "cam") == {"published": 1, reason.value: 1}


def test_a_second_commit_changes_nothing(connection: Connection) -> None:
    publish(begin(connection, "cam"), 3)
    taker, other = worker(connection), worker(connection, "other")
    batch = take(taker, 3)
    outcomes = [result_of(batch[0]), reject_of(batch[1]), result_of(batch[2])]
    assert taker.commit(outcomes) == 3
    before = counts(connection, "cam")
    assert taker.commit(outcomes) == 0
    assert other.commit([reject_of(batch[0]), result_of(batch[1])]) == 0
    assert counts(connection, "cam") == before == {"published": 3, "results": 2, "decode_error": 1}
    assert connection.read("XLEN", connection.keys.results(0)) == 2
    assert connection.read("XLEN", connection.keys.rejects(0)) == 1


def test_a_frame_twice_in_one_batch_ends_once(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    taker = worker(connection)
    [delivery] = take(taker)
    assert taker.commit([result_of(delivery), reject_of(delivery), result_of(delivery)]) == 1
    assert counts(connection, "cam") == {"published": 1, "results": 1}


def test_frames_of_different_cameras_with_the_same_id_are_two(connection: Connection) -> None:
    """Entry ids are unique in one stream only."""
    for camera in ("a", "b"):
        epoch = begin(connection, camera)
        publish(epoch)
        frames, entry = connection.keys.frames(camera), "1700000000000-0"
        fields = entries_of(connection, frames)[0][1]
        connection.read("DEL", frames)
        connection.read("XADD", frames, entry, "h", fields[b"h"], "i", fields[b"i"])
        connection.read("XGROUP", "CREATE", frames, "workers", "0")
        connection.read("HSET", connection.keys.ledger(camera), "last_id", entry)
    taker = worker(connection)
    batch = take(taker, 2)
    assert {delivery.entry for delivery in batch} == {"1700000000000-0"}
    assert held_by(connection, "w") == {"a": 1, "b": 1}
    assert taker.commit([result_of(batch[0])]) == 1
    assert list(held_by(connection, "w")) == [batch[1].camera.decode()]
    taker.leave()
    assert turns(take(worker(connection, "other"), 2)) == [f"{batch[1].camera.decode()}:0"]


def test_an_unknown_delivery_is_nobodys(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    invented = Delivery(b"cam", "1-1", 1, header(camera="cam").pack(), IMAGE, len(IMAGE), 0)
    entry = entries_of(connection, connection.keys.frames("cam"))[0][0].decode()
    unread = replace(invented, entry=entry)
    taker = worker(connection)
    assert taker.commit([result_of(invented), result_of(unread)]) == 0
    assert counts(connection, "cam") == {"published": 1, "in_flight": 1}


def test_results_are_counted_by_their_age(connection: Connection) -> None:
    epoch = begin(connection, "cam")
    publish(epoch, 2)
    age_entries(connection, "cam", milliseconds=3_000)
    taker = worker(connection)
    batch = take(taker, 2)
    taker.commit([result_of(batch[0]), result_of(batch[1], held_us=60_000_000)])
    ledger = read_ledger(connection, "cam")
    assert ledger.ages == {"5000": 1, "inf": 1}
    assert 66_000 <= ledger.age_sum_ms < 76_000


def test_a_lost_reply_of_a_commit_changes_nothing(broker: EmbeddedBroker, prefix: str) -> None:
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        publish(begin(connection, "cam"), 3)
        taker = worker(connection)
        taker.commit([result_of(take(taker)[0])])
        batch = take(taker, 2)
        relay.lose = 1
        assert taker.commit([result_of(delivery) for delivery in batch]) == 0, "they ended the first time"
        assert relay.lost == 1
        assert counts(connection, "cam") == {"published": 3, "results": 3}
        assert connection.read("XLEN", connection.keys.results(0)) == 3
        connection.close()


def test_a_lost_reply_of_a_take_delivers_the_same_frames_again(broker: EmbeddedBroker, prefix: str) -> None:
    with relayed(broker.url) as relay:
        connection = Connection(relay.url, prefix=prefix)
        publish(begin(connection, "a"), 2)
        publish(begin(connection, "b"), 2)
        taker = worker(connection)
        taker.commit([result_of(delivery) for delivery in take(taker, 1)])
        relay.lose = 1
        batch = take(taker, 2)
        assert relay.lost == 1
        assert sorted(turns(batch)) == ["a:1", "b:0"]
        assert [delivery.attempts for delivery in batch] == [1, 1], "it is no second attempt"
        assert taker.commit([result_of(delivery) for delivery in batch]) == 2
        assert assert_closes(connection).in_flight == 1
        connection.close()


# Handing back


@pytest.mark.parametrize("leaves", [True, False], ids=["leave", "join"])
def test_handing_back_is_no_attempt(connection: Connection, leaves: bool) -> None:
    publish(begin(connection, "cam"))
    for _ in range(7):
        taker = worker(connection)
        assert [delivery.attempts for delivery in take(taker)] == [1]
        if leaves:
            assert taker.leave() == 1
        else:
            taker.join()
        assert held_by(connection, "w") == {}
        assert_closes(connection)


def test_what_is_in_hand_comes_first_and_again(connection: Connection) -> None:
    """A worker asks for more only when its hands are empty: if they are not, a reply was lost."""
    publish(begin(connection, "cam"), 3)
    taker = worker(connection)
    batch = take(taker, 2)
    assert sorted(turns(take(taker, 1))) == turns(batch) == ["cam:0", "cam:1"]
    taker.commit([result_of(delivery) for delivery in batch])
    assert turns(take(taker, 2)) == ["cam:2"]


def test_what_was_handed_back_comes_alone(connection: Connection) -> None:
    """It may be what killed somebody: whoever has it shall have nothing else in hand."""
    publish(begin(connection, "a"), 3)
    first = worker(connection, "first")
    take(first, 2)
    assert first.leave() == 2
    second = worker(connection, "second")
    batches = []
    while batch := take(second, 8):
        batches.append(sorted(turns(batch)))
        second.commit([result_of(delivery) for delivery in batch])
    assert sorted(batches[:2]) == [["a:0"], ["a:1"]]
    assert batches[2:] == [["a:2"]]
    assert counts(connection, "a") == {"published": 3, "results": 3}


def test_a_worker_that_leaves_is_no_worker(connection: Connection) -> None:
    taker = worker(connection)
    assert connection.read("ZRANGE", connection.keys.workers(0), 0, -1) == [b"w"]
    assert taker.leave() == 0
    assert connection.read("ZCARD", connection.keys.workers(0)) == 0


# The dead and the stuck


def test_a_dead_workers_frames_come_back_alone_and_tried_once_more(connection: Connection) -> None:
    publish(begin(connection, "a"), 2)
    publish(begin(connection, "b"), 1)
    dead, alive = worker(connection, "dead"), worker(connection, "alive")
    assert len(take(dead, 3)) == 3
    assert alive.sweep() == 0, "it was heard of a moment ago"
    declare_dead(connection, "dead")
    assert sweep_now(alive, connection) == 3
    assert connection.read("ZRANGE", connection.keys.workers(0), 0, -1) == [b"alive"]
    seen = []
    for _ in range(3):
        [delivery] = take(alive, 8)
        assert delivery.attempts == 2
        seen += turns([delivery])
        assert alive.commit([result_of(delivery)]) == 1
        assert_closes(connection)
    assert sorted(seen) == ["a:0", "a:1", "b:0"]
    assert assert_closes(connection).results == 3


def test_attempts_are_counted_over_many_deaths(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    sweeper = worker(connection, "sweeper")
    for attempt in range(1, 7):
        victim = worker(connection, f"victim{attempt}")
        assert [delivery.attempts for delivery in take(victim)] == [attempt]
        declare_dead(connection, f"victim{attempt}")
        assert sweep_now(sweeper, connection) == 1
    assert counts(connection, "cam") == {"published": 1, "in_flight": 1}


def test_a_worker_that_was_only_slow_ends_its_frame_first(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    slow, other = worker(connection, "slow"), worker(connection, "other")
    [delivery] = take(slow)
    declare_dead(connection, "slow")
    sweep_now(other, connection)
    assert slow.commit([result_of(delivery)]) == 1
    assert take(other) == []
    assert counts(connection, "cam") == {"published": 1, "results": 1}


def test_a_worker_that_was_only_slow_and_comes_second_changes_nothing(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    slow, other = worker(connection, "slow"), worker(connection, "other")
    [delivery] = take(slow)
    declare_dead(connection, "slow")
    sweep_now(other, connection)
    [again] = take(other)
    assert other.commit([result_of(again)]) == 1
    assert slow.commit([reject_of(delivery)]) == 0
    assert counts(connection, "cam") == {"published": 1, "results": 1}
    assert connection.read("XLEN", connection.keys.rejects(0)) == 0


def test_a_frame_that_is_stuck_at_a_living_worker_is_taken_from_it(connection: Connection) -> None:
    publish(begin(connection, "cam"), 2)
    stuck, other = worker(connection, "stuck"), worker(connection, "other")
    old, fresh = take(stuck, 2)
    make_idle(connection, "cam", old.entry, 61_000)
    assert sweep_now(other, connection) == 1
    assert sweep_now(other, connection) == 0, "it is nobody's now, and not adopted again"
    [again] = take(other)
    assert (again.entry, again.attempts) == (old.entry, 2)
    assert connection.read("HKEYS", connection.keys.held(0, "stuck")) == [f"cam/{fresh.entry}".encode()]
    assert other.commit([result_of(again)]) == 1
    assert stuck.commit([result_of(old), result_of(fresh)]) == 1
    assert counts(connection, "cam") == {"published": 2, "results": 2}


def test_a_frame_that_nobody_holds_is_found(connection: Connection) -> None:
    """Taken, and then the note of who has it was lost with the memory of a master."""
    publish(begin(connection, "cam"))
    [delivery] = take(worker(connection, "first"))
    connection.read("DEL", connection.keys.held(0, "first"))
    make_idle(connection, "cam", delivery.entry, 61_000)
    second = worker(connection, "second")
    assert sweep_now(second, connection) == 1
    assert [again.entry for again in take(second)] == [delivery.entry]


# Vanished entries


def test_a_frame_that_vanished_from_a_dead_workers_hands_is_counted(connection: Connection) -> None:
    publish(begin(connection, "cam"), 2)
    dead, alive = worker(connection, "dead"), worker(connection, "alive")
    batch = take(dead, 2)
    connection.read("XDEL", connection.keys.frames("cam"), batch[0].entry)
    declare_dead(connection, "dead")
    sweep_now(alive, connection)
    [left] = take(alive)
    assert left.entry == batch[1].entry
    alive.commit([result_of(left)])
    assert take(alive) == []
    assert counts(connection, "cam") == {"published": 2, "vanished": 1, "results": 1}


def test_a_frame_that_vanished_from_a_living_workers_hands_has_its_result(
    connection: Connection,
) -> None:
    publish(begin(connection, "cam"))
    taker = worker(connection)
    [delivery] = take(taker)
    connection.read("XDEL", connection.keys.frames("cam"), delivery.entry)
    assert taker.commit([result_of(delivery)]) == 1
    assert counts(connection, "cam") == {"published": 1, "results": 1}


def test_an_unread_frame_that_vanished_is_missed(connection: Connection) -> None:
    """An audit that cannot fail is worth nothing: nobody took this frame, and it is not there."""
    publish(begin(connection, "cam"), 3)
    entry = entries_of(connection, connection.keys.frames("cam"))[1][0]
    connection.read("XDEL", connection.keys.frames("cam"), entry)
    taker = worker(connection)
    batch = take(taker, 8)
    assert turns(batch) == ["cam:0", "cam:2"]
    taker.commit([result_of(delivery) for delivery in batch])
    ledger = read_ledger(connection, "cam")
    assert (ledger.broker_difference, ledger.closes) == (1, False)


# sweep


def test_a_forgotten_camera_comes_back_into_line(connection: Connection) -> None:
    """Popped from the line by a worker that died before it took the frame."""
    publish(begin(connection, "cam"))
    connection.read("DEL", connection.keys.ready(0))
    taker = worker(connection)
    assert take(taker) == []
    sweep_now(taker, connection)
    assert turns(take(taker)) == ["cam:0"]
    sweep_now(taker, connection)
    assert connection.read("ZCARD", connection.keys.ready(0)) == 0, "one that is done stays out of it"


def test_one_worker_sweeps_at_a_time(connection: Connection) -> None:
    publish(begin(connection, "cam"))
    first, second = worker(connection, "first"), worker(connection, "second")
    take(worker(connection, "dead"))
    first.sweep()
    declare_dead(connection, "dead")
    assert second.sweep() == 0, "the first has the lease"
    assert connection.read("PTTL", connection.keys.sweeper(0)) > 0
    assert first.sweep() == 1


def test_the_lease_of_a_dead_sweeper_ends(connection: Connection) -> None:
    worker(connection, "first").sweep()
    assert 0 < connection.read("PTTL", connection.keys.sweeper(0)) <= SWEEP_LEASE_SECONDS * 1000
    assert SWEEP_SECONDS < SWEEP_LEASE_SECONDS < LAPSE_SECONDS, "before what it held is free for others"


def test_who_sweeps_knows_when_the_next_worker_lapses(connection: Connection) -> None:
    first, second = worker(connection, "first"), worker(connection, "second")
    first.sweep()
    assert 0 < first.next_lapse_seconds <= LAPSE_SECONDS
    connection.read("ZINCRBY", connection.keys.workers(0), -2000, "second")
    first.sweep()
    assert 0 < first.next_lapse_seconds <= LAPSE_SECONDS - 2
    second.sweep()
    assert second.next_lapse_seconds == LAPSE_SECONDS, "the first has the lease, and keeps an eye on all"


def test_many_cameras_are_swept_page_by_page(connection: Connection) -> None:
    cameras = [f"cam{number}" for number in range(250)]
    for camera in cameras:
        publish(begin(connection, camera))
    connection.read("DEL", connection.keys.ready(0))
    taker = worker(connection)
    for _ in range(10):
        taker.sweep()
    assert connection.read("ZCARD", connection.keys.ready(0)) == 250


def results_kept(connection: Connection) -> int:
    return int(connection.read("XLEN", connection.keys.results(0)))


def end_many(connection: Connection, frames: int) -> None:
    publish(begin(connection, "cam", depth=10_000), frames)
    taker = worker(connection)
    while batch := take(taker, 64):
        taker.commit([result_of(delivery) for delivery in batch])


def test_results_stay_within_their_time(connection: Connection) -> None:
    end_many(connection, 250)
    stream = connection.keys.results(0)
    fresh = entries_of(connection, stream)
    connection.read("DEL", stream)
    for number in range(300):
        connection.read("XADD", stream, f"{1_700_000_000_000 + number}-0", "r", fresh[0][1][b"r"])
    for entry, fields in fresh:
        connection.read("XADD", stream, entry, "r", fields[b"r"])
    worker(connection, retention=Retention(keep_seconds=600)).sweep()
    kept = [entry for entry, _ in entries_of(connection, stream)]
    assert kept[-250:] == [entry for entry, _ in fresh], "none that is young enough goes"
    assert len(kept) < 250 + 100, "of the old ones less than a node of the stream stays"


def test_results_stay_within_their_bytes(connection: Connection) -> None:
    end_many(connection, 1000)
    stream = connection.keys.results(0)
    before = connection.read("MEMORY", "USAGE", stream)
    budget = before // 4
    taker = worker(connection, retention=Retention(bytes=budget))
    for _ in range(3):
        taker.sweep()
    assert connection.read("MEMORY", "USAGE", stream) <= budget * 1.2
    assert 100 < results_kept(connection) < 350
    newest = entries_of(connection, stream)[-1][1][b"r"]
    assert unpack_result(newest)["seq"] == 999, "the newest stay"


# A full broker


@pytest.fixture
def full() -> Iterator[tuple[Connection, int]]:
    """A small broker that is full of one lossless camera's frames, and how many went in."""
    with EmbeddedBroker(max_memory_bytes=16 << 20) as broker:
        connection = Connection(broker.url)
        epoch = begin(connection, "cam", depth=10_000)
        with pytest.raises(BusFull, match="full"):
            publish(epoch, 100, image=bytes(500_000))
        assert epoch.next_seq > 10
        yield connection, epoch.next_seq
        connection.close()


def test_a_full_broker_is_worked_free(full: tuple[Connection, int]) -> None:
    """All that frees memory passes; publishing goes on when there is room."""
    connection, published = full
    refused = begin(connection, "other", live=True)
    refused.totals.capture()
    with pytest.raises(BusFull):
        refused.publish(header(), bytes(500_000))
    refused.totals.drop(SourceDrop.BROKER_FULL)
    refused.report()
    assert_closes(connection)

    first = worker(connection, "first")
    assert len(take(first, 2)) == 2
    assert first.sweep() == 0
    assert first.leave() == 2
    second = worker(connection, "second")
    ended = 0
    while batch := take(second, 4):
        ended += second.commit([result_of(delivery) for delivery in batch])
        assert_closes(connection)
    assert ended == published

    publish(refused, 3, image=bytes(500_000))
    ledger = assert_closes(connection)
    assert (ledger.results, ledger.in_flight) == (published, 3)
    assert ledger.dropped_at_source == {"broker_full": 1}


def test_a_full_broker_takes_new_workers_that_know_no_script_there(full: tuple[Connection, int]) -> None:
    connection, published = full
    connection.read("SCRIPT", "FLUSH")
    newcomer = Connection(connection.address)
    taker = worker(newcomer, "newcomer")
    assert newcomer.read("SCRIPT", "FLUSH") in (True, b"OK")
    assert taker.commit([reject_of(delivery) for delivery in take(taker, 4)]) == 4
    newcomer.read("SCRIPT", "FLUSH")
    taker.sweep()
    newcomer.read("SCRIPT", "FLUSH")
    assert isinstance(begin(newcomer, "third").epoch, int)
    newcomer.read("SCRIPT", "FLUSH")
    taker.leave()
    assert counts(newcomer, "cam") == {"published": published, "decode_error": 4, "in_flight": published - 4}
    newcomer.close()


def test_a_live_source_at_a_full_broker_counts_what_it_cannot_send(full: tuple[Connection, int]) -> None:
    connection, _ = full
    live = begin(connection, "live", live=True, depth=1)
    for _ in range(5):
        live.totals.capture()
        with pytest.raises(BusFull):
            live.publish(header(), bytes(500_000))
        live.totals.drop(SourceDrop.BROKER_FULL)
    live.report(ended=True)
    assert assert_closes(connection, "live").dropped_at_source == {"broker_full": 5}
