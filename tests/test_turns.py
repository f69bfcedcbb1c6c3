"""Turns at the processor: so many at once, in the order in which they were asked for, and never for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from facestream_producer.turns import Turns
from support.bus import wait_until

THREADS = 12
FOR_EVER_SECONDS = 60.0


def in_threads(count: int, work: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def test_they_come_in_the_order_asked_for() -> None:
    turns, came = Turns(1, FOR_EVER_SECONDS), list[int]()

    def work(number: int) -> None:
        with turns:
            came.append(number)

    threads = []
    with turns:
        for number in range(THREADS):
            threads.append(threading.Thread(target=work, args=(number,), daemon=True))
            threads[-1].start()
            wait_until(lambda count=number + 1: turns.waiting == count, "it waits")  # type: ignore[misc]
        assert came == []
    join(threads)
    assert came == list(range(THREADS))


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_than_so_many_work_at_once(at_once: int) -> None:
    turns, lock = Turns(at_once, FOR_EVER_SECONDS), threading.Lock()
    at_work, most, done = 0, 0, 0

    def work(_number: int) -> None:
        nonlocal at_work, most, done
        for _ in range(50):
            with turns:
                with lock:
                    at_work += 1
                    most = max(most, at_work)
                with lock:
                    at_work -= 1
                    done += 1

    join(in_threads(THREADS, work))
    assert done == THREADS * 50
    assert 1 <= most <= at_once


def test_whoever_waited_long_enough_goes_ahead() -> None:
    """One that never ends its turn holds up nobody for good, and the count is right afterwards."""
    turns, through = Turns(1, patience_seconds=0.01), threading.Event()

    def work(_number: int) -> None:
        with turns:
            through.set()

    with turns:
        join(in_threads(1, work))
        assert through.is_set()
    through.clear()
    join(in_threads(1, work))
    assert through.is_set()
    assert (turns.free, turns.waiting) == (1, 0)


def test_who_hangs_in_a_turn_loses_it() -> None:
    """A decoder that never comes back costs the others one wait, and not one for each of their frames."""
    turns, inside = Turns(2, patience_seconds=0.01), threading.Semaphore(0)
    leave = threading.Event()

    def hang(_number: int) -> None:
        with turns:
            inside.release()
            leave.wait(20)

    def work(_number: int) -> None:
        with turns:
            pass

    hung = in_threads(2, hang)
    assert inside.acquire(timeout=20)
    assert inside.acquire(timeout=20)
    join(in_threads(1, work))
    assert turns.free == 1
    leave.set()
    join(hung)
    assert turns.free == 2


def test_more_may_be_let_in() -> None:
    turns, inside = Turns(1, FOR_EVER_SECONDS), threading.Semaphore(0)
    leave = threading.Event()

    def work(_number: int) -> None:
        with turns:
            inside.release()
            leave.wait(20)

    threads = in_threads(3, work)
    assert inside.acquire(timeout=20)
    wait_until(lambda: turns.waiting == 2, "two wait")
    turns.limit(3)
    assert inside.acquire(timeout=20)
    assert inside.acquire(timeout=20)
    leave.set()
    join(threads)
    turns.limit(2)
    assert turns.free == 2
