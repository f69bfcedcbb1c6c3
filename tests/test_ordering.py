"""Results in order again."""

from __future__ import annotations

from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.contract import ResultMap
from facestream.ordering import InOrder


def result(seq: int) -> ResultMap:
    return cast(ResultMap, {"seq": seq})


def feed(order: InOrder, *seqs: int) -> list[int]:
    return [ready["seq"] for seq in seqs for ready in order.add(result(seq))]


def rest(order: InOrder) -> list[int]:
    return [ready["seq"] for ready in order.flush()]


def test_what_comes_in_order_goes_at_once() -> None:
    order = InOrder(window=4)
    assert [feed(order, seq) for seq in range(3)] == [[0], [1], [2]]


def test_what_comes_early_waits_for_its_turn() -> None:
    order = InOrder(window=4)
    assert feed(order, 2, 1) == []
    assert feed(order, 0) == [0, 1, 2]


def test_a_gap_is_given_up_when_more_than_the_window_waits_behind_it() -> None:
    order = InOrder(window=3)
    assert feed(order, 1, 2, 3) == []
    assert feed(order, 4) == [1, 2, 3, 4]


def test_what_was_given_up_and_comes_after_all_is_not_lost() -> None:
    """A killed worker's frame is adopted seconds later, when the others have long gone on."""
    order = InOrder(window=3)
    assert feed(order, 1, 2, 3, 4) == [1, 2, 3, 4]
    assert feed(order, 0) == [0]
    assert feed(order, 0, 1) == [], "and comes only once"


def test_what_is_remembered_of_gaps_is_bounded() -> None:
    order = InOrder(window=0)
    assert feed(order, 10**12) == [10**12]
    assert feed(order, 10**12 - 1, 5) == [10**12 - 1]
    for seq in range(10**12 + 2, 10**12 + 60_000, 2):
        feed(order, seq)
    assert len(order._given_up) == 10_000


def test_only_as_much_is_given_up_as_must_be() -> None:
    order = InOrder(window=2)
    assert feed(order, 1, 5, 6) == [1], "2 to 4 may still come"
    assert feed(order, 2, 3) == [2, 3], "and two of them do"
    assert rest(order) == [5, 6]


def test_an_epoch_that_was_resumed_begins_where_it_was_left() -> None:
    order = InOrder(window=4, first_seq=100)
    assert feed(order, 99, 101, 100) == [100, 101]


def test_a_repeated_result_is_left_out() -> None:
    order = InOrder(window=4)
    assert feed(order, 1, 1, 0, 0, 1) == [0, 1]
    assert rest(order) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=80), st.integers(0, 8))
def test_all_that_goes_in_comes_out_once(seqs: list[int], window: int) -> None:
    order = InOrder(window)
    out = feed(order, *seqs) + rest(order)
    assert sorted(out) == sorted(set(seqs))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(1, 8))
def test_the_order_is_right_while_no_frame_is_overtaken_by_more_than_the_window(
    data: st.DataObject, frames: int, window: int
) -> None:
    """Frames end in any order, but the slowest before so many others that came after it."""
    order, waiting, out = InOrder(window), list(range(frames)), []
    overtaken = dict.fromkeys(waiting, 0)
    while waiting:
        able = [seq for seq in waiting if all(overtaken[older] < window for older in waiting if older < seq)]
        done = data.draw(st.sampled_from(able))
        waiting.remove(done)
        for older in waiting:
            overtaken[older] += older < done
        out += feed(order, done)
    assert out == list(range(frames))
