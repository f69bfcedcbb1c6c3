"""Reading results: places, groups, acknowledgement, and what was removed unread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest

from facestream import Result, ResultReader, ResultsMissed
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.errors import UsageError
from support import bus
from support.results import Awaited, Studio, seqs

Reader = ResultReader | Awaited
Open = Callable[..., Reader]


@pytest.fixture
def studio(connection: Connection) -> Studio:
    return Studio(connection)


@pytest.fixture(params=[ResultReader, Awaited], ids=["sync", "async"])
def reader(request: pytest.FixtureRequest, broker: EmbeddedBroker, prefix: str) -> Iterator[Open]:
    """Makes readers of this test's deployment, of one kind; all of them are closed at its end."""
    with ExitStack() as stack:

        def make(**wishes: Any) -> Reader:
            return cast(Reader, stack.enter_context(request.param(broker.url, prefix=prefix, **wishes)))

        yield make


def read(reader: Reader, most: int = 1000) -> list[int | str]:
    return seqs(reader.read(most, 0.05))


def wait_for_the_next_millisecond(connection: Connection) -> None:
    def now() -> int:
        seconds, microseconds = connection.read("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    begun = now()
    bus.wait_until(lambda: now() > begun, "a millisecond passes")


# What is read


def test_a_result_as_its_consumer_sees_it(studio: Studio, reader: Open) -> None:
    studio.shoot("lobby")
    [result] = reader(start="earliest").read()
    assert isinstance(result, Result)
    assert (result.camera, result.seq, result.width, result.height) == ("lobby", 0, 64, 48)
    assert result.captured_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert abs(result.published_at - datetime.now(UTC)) < timedelta(minutes=1)
    [face] = result.faces
    assert (face.box.width, face.landmarks[2].y, face.score) == (30.0, 40.0, 0.9)
    assert face.gender is not None
    assert face.age is not None
    assert (face.gender.label, face.age.years) == ("female", 31.5)
    assert result.raw["worker"] == "w"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("earliest", [0, 1, 2, 3]),
        ("latest", [3]),
        (timedelta(minutes=10), [0, 1, 2, 3]),
        (timedelta(0), [3]),
        (datetime(2020, 1, 1, tzinfo=UTC), [0, 1, 2, 3]),
    ],
    ids=str,
)
@pytest.mark.parametrize("group", [None, "signage"])
def test_where_a_reader_begins(
    studio: Studio, reader: Open, connection: Connection, start: Any, expected: list[int], group: str | None
) -> None:
    studio.shoot(count=3)
    if start == timedelta(0):  # what came in this very millisecond is of now
        wait_for_the_next_millisecond(connection)
    found = reader(start=start, group=group)
    found.connect()
    studio.shoot()
    assert read(found) == expected


def test_going_on_after_an_entry_tells_what_was_removed_behind_it(studio: Studio, reader: Open) -> None:
    studio.shoot(count=3)
    last = reader(start="earliest").read(2)[1]
    assert isinstance(last, Result)
    assert read(reader(start=last.entry)) == [2]
    studio.shoot(count=10)
    studio.trim(4)
    assert read(reader(start=last.entry)) == ["-7", 9, 10, 11, 12]


def test_one_camera_of_several(studio: Studio, reader: Open) -> None:
    for camera in ("lobby", "hall", "lobby"):
        studio.shoot(camera)
    lobby = reader(cameras={"lobby"}, start="earliest", group="g", idle_seconds=0.05)
    assert [(result.camera, result.seq) for result in lobby] == [("lobby", 0), ("lobby", 1)]
    lobby.close()
    assert read(reader(group="g")) == [], "the other camera's were passed over, and not left for later"


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"start": "yesterday"}, "start='yesterday': use 'latest'"),
        ({"start": timedelta(-1)}, "start="),
        ({"cameras": ["Lobby!"]}, "is not a camera name"),
        ({"cameras": []}, "cameras is empty"),
        ({"group": "a b"}, "group='a b'"),
        ({"consumer": "me"}, "a consumer's name needs a group"),
        ({"order_window": -1}, "order_window=-1"),
        ({"adopt_after_seconds": 0}, "adopt_after_seconds=0"),
    ],
)
def test_wishes_that_make_no_sense(reader: Open, wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        reader(**wishes)


GOLDEN = sorted((Path(__file__).parent / "golden").glob("result.v*.msgpack"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: str(path.name))
def test_results_of_every_released_version_are_read(
    studio: Studio, reader: Open, connection: Connection, golden: Path
) -> None:
    connection.read("XADD", connection.keys.results(0), "*", "r", golden.read_bytes())
    [result] = reader(start="earliest").read()
    assert isinstance(result, Result)
    fields = json.loads(golden.with_suffix(".json").read_text())
    assert result.raw == fields
    assert len(result.faces) == len(fields["faces"]) > 0
    assert repr(result.faces)


def test_what_a_reader_does_not_know_it_ignores_and_keeps(
    studio: Studio, reader: Open, connection: Connection
) -> None:
    fields = json.loads(GOLDEN[0].with_suffix(".json").read_text())
    fields["weather"] = {"sky": "blue"}
    fields["faces"][0] |= {"hat": True}
    fields["faces"][0]["attributes"]["mood"] = {"label": "calm", "score": 0.5, "why": [1]}
    words = ("XADD", connection.keys.results(0), "*", "later", "x", "r", msgpack.packb(fields))
    connection.read(*words)
    [result] = reader(start="earliest").read()
    assert isinstance(result, Result)
    assert dict(result.raw)["weather"] == {"sky": "blue"}
    assert dict(result.faces[0].raw)["hat"] is True
    assert result.faces[0].attributes["mood"]["label"] == "calm"


@pytest.mark.parametrize(
    "attributes",
    [
        {"gender": {"label": 1, "score": 1.0}},
        {"gender": {}},
        {"age": {"years": "old", "score": 1.0}},
        {"age": []},
    ],
    ids=repr,
)
def test_answers_that_are_none_are_no_result(
    studio: Studio, reader: Open, connection: Connection, attributes: dict[str, Any]
) -> None:
    fields = json.loads(GOLDEN[0].with_suffix(".json").read_text())
    fields["faces"][0]["attributes"] = attributes
    connection.read("XADD", connection.keys.results(0), "*", "r", msgpack.packb(fields))
    found = reader(start="earliest")
    assert (found.read(1, 0.01), found.counts.unreadable) == ([], 1)


@pytest.mark.parametrize("group", [None, "g"])
def test_in_order(studio: Studio, reader: Open, group: str | None) -> None:
    studio.shoot_out_of_order("cam", [2, 0, 1, 4, 3])
    assert read(reader(start="earliest", group=group, order_window=8)) == [0, 1, 2, 3, 4]
    assert read(reader(start="earliest", group="other")) == [2, 0, 1, 4, 3]


def test_in_order_behind_a_gap(studio: Studio, reader: Open) -> None:
    """Who begins in the middle does not know what was before: he waits for it, but not for ever."""
    studio.shoot_out_of_order("cam", [0, 2, 1, 4, 3])
    first = reader(start="earliest").read(1)[0]
    assert isinstance(first, Result)
    late = reader(start=first.entry, order_window=8, order_seconds=0.05, idle_seconds=1)
    assert [result.seq for result in late] == [1, 2, 3, 4]


# Groups


def test_readers_of_a_group_share(studio: Studio, reader: Open) -> None:
    one, other = (reader(group="g", start="earliest") for _ in range(2))
    studio.shoot(count=6)
    halves = [read(one, 3), read(other, 3)]
    assert halves == [[0, 1, 2], [3, 4, 5]]
    assert read(one) == read(other) == []
    assert read(reader(group="another", start="earliest")) == [0, 1, 2, 3, 4, 5]


def test_what_was_not_acknowledged_is_given_again(studio: Studio, reader: Open) -> None:
    studio.shoot(count=4)
    first = reader(group="g", start="earliest", consumer="till-1", idle_seconds=0.05)
    for result in first:
        if result.seq == 2:
            break
    first.close()
    assert read(reader(group="g", consumer="till-1")) == [2, 3]


def test_a_loop_that_was_left_goes_on_with_what_was_not_done(studio: Studio, reader: Open) -> None:
    studio.shoot(count=4)
    found = reader(group="g", start="earliest", idle_seconds=0.05)
    with pytest.raises(ZeroDivisionError):
        [1 / (1 - result.seq) for result in found]
    assert [result.seq for result in found] == [1, 2, 3]
    assert found.counts.results == 4


def test_acknowledging_by_hand(studio: Studio, reader: Open, connection: Connection) -> None:
    studio.shoot(count=3)
    first = reader(group="g", start="earliest", consumer="till-1", auto_acknowledge=False)
    results = [item for item in first.read(10, 0.05) if isinstance(item, Result)]
    assert read(first) == []
    first.acknowledge(results[0], results[2])
    assert connection.read("XPENDING", connection.keys.results(0), "g")["pending"] == 1
    first.close()
    assert read(reader(group="g", consumer="till-1")) == [1]


def test_a_dead_consumers_results_are_adopted(studio: Studio, reader: Open, broker: EmbeddedBroker) -> None:
    studio.shoot(count=3)
    dead = reader(group="g", start="earliest")
    assert read(dead) == [0, 1, 2]
    heir = reader(group="g", adopt_after_seconds=0.001)
    assert read(heir) == [0, 1, 2]
    assert heir.counts.adopted == 3


def test_who_has_nothing_left_leaves_no_name(studio: Studio, reader: Open, connection: Connection) -> None:
    studio.shoot(count=2)
    tidy, untidy = reader(group="g", start="earliest"), reader(group="g")
    assert read(tidy, 1) == [0]
    assert read(untidy, 1) == [1]
    assert read(tidy) == []
    tidy.close()
    untidy.close()
    names = connection.read("XINFO CONSUMERS", connection.keys.results(0), "g")
    assert [name["name"].decode() for name in names] == [untidy.consumer]


# Removed unread


@pytest.mark.parametrize("group", [None, "g"])
def test_what_was_removed_unread_is_told(studio: Studio, reader: Open, group: str | None) -> None:
    found = reader(group=group, start="earliest")
    studio.shoot(count=2)
    assert read(found) == [0, 1]
    studio.shoot(count=20)
    studio.trim(3)
    missed, *rest = found.read(100, 0.05)
    assert isinstance(missed, ResultsMissed)
    assert missed.count == 17
    assert seqs(rest) == [19, 20, 21]
    assert missed.since is not None
    assert missed.until is not None
    assert missed.since <= missed.until
    assert found.counts.missed == 17


def test_missed_results_in_a_loop(studio: Studio, reader: Open) -> None:
    told: list[ResultsMissed] = []
    loops = {
        "raise": reader(group="a", start="earliest", on_missed="raise", idle_seconds=0.05),
        "call": reader(group="b", start="earliest", on_missed=told.append, idle_seconds=0.05),
        "log": reader(group="c", start="earliest", idle_seconds=0.05),
    }
    for loop in loops.values():
        loop.connect()
    studio.shoot(count=5)
    studio.trim(2)
    with pytest.raises(ResultsMissed, match="missed 3 results of partition 0 between"):
        list(loops["raise"])
    assert [[result.seq for result in loop] for loop in loops.values()] == [[3, 4]] * 3
    assert [missed.count for missed in told] == [3]
