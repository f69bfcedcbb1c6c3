"""A camera's results by `seq`, within a window and for a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.contract import ResultMap
from facestream.results.reorder import MAX_CAMERAS, Reorder
from facestream.results.result import Result


def result(seq: int, epoch: int = 1, camera: str = "cam") -> Result:
    return Result(camera, epoch, seq, (), 0, f"1-{seq}", cast(ResultMap, {}))


def feed(order: Reorder, *seqs: int, now: float = 0.0, epoch: int = 1) -> list[int]:
    return seqs_of(given for seq in seqs for given in order.add(result(seq, epoch), now))


def seqs_of(results: Iterable[Result]) -> list[int]:
    return [result.seq for result in results]


def test_what_comes_in_order_goes_at_once_and_what_is_early_waits() -> None:
    order = Reorder(window=4, seconds=2)
    assert feed(order, 0, 1) == [0, 1]
    assert feed(order, 3, 4) == []
    assert feed(order, 2) == [2, 3, 4]


def test_a_gap_is_given_up_when_the_window_is_full() -> None:
    order = Reorder(window=2, seconds=2)
    assert feed(order, 1, 2) == []
    assert feed(order, 3) == [1, 2, 3]
    assert feed(order, 0) == [0], "late is better than lost"


def test_a_gap_is_given_up_when_its_time_is_over() -> None:
    order = Reorder(window=100, seconds=2)
    assert feed(order, 5, 6, 8, now=10.0) == []
    assert order.due_at() == 12.0
    assert seqs_of(order.expire(11.9)) == []
    assert seqs_of(order.expire(12.0)) == [5, 6]
    assert order.due_at() == 14.0, "the next gap has a time of its own"
    assert seqs_of(order.expire(14.0)) == [8]
    assert order.due_at() is None


def test_a_new_epoch_comes_after_all_of_the_old() -> None:
    order = Reorder(window=100, seconds=2)
    assert feed(order, 7, 9) == []
    assert feed(order, 0, epoch=2) == [7, 9, 0]
    assert feed(order, 10, epoch=1) == [10], "what is left of the old one comes at once"
    assert feed(order, 1, epoch=2) == [1]


def test_cameras_do_not_wait_for_each_other() -> None:
    order = Reorder(window=100, seconds=2)
    assert seqs_of(order.add(result(3, camera="a"), 0.0)) == []
    assert seqs_of(order.add(result(0, camera="b"), 0.0)) == [0]
    assert seqs_of(order.flush()) == [3]


def test_what_is_remembered_of_cameras_is_bounded() -> None:
    order = Reorder(window=100, seconds=2)
    out = [given for n in range(MAX_CAMERAS + 10) for given in order.add(result(1, camera=f"c{n}"), 0.0)]
    assert len(order._lanes) == MAX_CAMERAS
    assert [given.camera for given in out] == [f"c{n}" for n in range(10)], "the oldest are not lost"


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 40)), st.randoms(), st.integers(0, 8))
def test_all_that_goes_in_comes_out_once(seqs: set[int], random: object, window: int) -> None:
    shuffled = sorted(seqs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    order = Reorder(window, seconds=2)
    out = feed(order, *shuffled) + seqs_of(order.flush())
    assert sorted(out) == sorted(seqs)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(1, 8))
def test_the_order_is_right_while_no_more_than_the_window_overtake(
    data: st.DataObject, frames: int, window: int
) -> None:
    order, waiting, out = Reorder(window, seconds=2), list(range(frames)), []
    overtaken = dict.fromkeys(waiting, 0)
    while waiting:
        able = [seq for seq in waiting if all(overtaken[older] < window for older in waiting if older < seq)]
        done = data.draw(st.sampled_from(able))
        waiting.remove(done)
        for older in waiting:
            overtaken[older] += older < done
        out += feed(order, done)
    assert out == list(range(frames))
