"""Children of the command: told when they die, started again, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from facestream.broker import EmbeddedBroker
from facestream.signals import stop_on_signals
from facestream.supervisor import Child, Supervisor, describe
from support.bus import is_gone, wait_until

# A producer without workers waits for room, for ever: the cheapest child that lives.
PRODUCER = ("producer", "demo:")

OWNER = """
import sys, json
from facestream.supervisor import Supervisor

environment, arguments = json.loads(sys.argv[1]), sys.argv[2:]
children = Supervisor(lambda line: print(line, file=sys.stderr), environment)
child = children.start("producer", arguments, restart=True, on_line=lambda line: print(line, flush=True))
child.process.wait()
"""


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    return {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def children(environment: dict[str, str], told: list[str]) -> Iterator[Supervisor]:
    with Supervisor(told.append, environment, give_up_after=3) as running:
        yield running


def start_producer(children: Supervisor, lines: list[str]) -> Child:
    """A producer that is at work: it has said so."""
    child = children.start("producer", PRODUCER, restart=True, on_line=lines.append)
    wait_until(lambda: "began" in "".join(lines), "the producer began")
    return child


def watch(children: Supervisor, until: Callable[[], bool], what: str) -> None:
    def look() -> bool:
        children.check()
        return until()

    wait_until(look, what)


def test_a_killed_child_is_told_and_started_again(children: Supervisor, told: list[str]) -> None:
    lines: list[str] = []
    child = children.start(
        "producer",
        PRODUCER,
        restart=True,
        restart_arguments=[*PRODUCER, "--camera", "again"],
        on_line=lines.append,
    )
    wait_until(lambda: "began" in "".join(lines), "the producer began")
    first = child.process.pid
    child.process.kill()
    watch(children, lambda: child.restarts == 1, "it is started again")
    assert child.process.pid != first
    assert told == ["producer died (SIGKILL); restarting in 0.5 s"]
    wait_until(lambda: '"again"' in "".join(lines), "it is at work, as it was told for this case")
    assert children.check() == []


def test_a_child_that_says_what_is_wrong_is_not_started_again(children: Supervisor, told: list[str]) -> None:
    child = children.start("producer", ["producer", "absent.mp4"], restart=True)
    watch(children, lambda: child in children.check(), "it has ended for good")
    assert (child.status, child.restarts) == (1, 0)
    wait_until(lambda: any("absent.mp4" in line for line in told), "and it is heard what was wrong")


def test_a_child_that_dies_at_its_start_every_time_is_given_up(children: Supervisor, told: list[str]) -> None:
    child = children.start("producer", PRODUCER, restart=True)
    pause = 0.0
    while child not in children.check():
        child.process.kill()
        child.process.wait()
        children.check()
        if child.restart_at is not None:
            pause, child.restart_at = child.restart_at, 0.0
    assert pause > 0, "it would have waited"
    assert [line.partition(" (")[0] for line in told] == ["producer died", "producer died"] + told[-1:]
    assert "given up" in told[-1]


def test_stopping_ends_every_child(children: Supervisor) -> None:
    lines: list[str] = []
    start_producer(children, lines)
    processes = [child.process.pid for child in children.children.values()]
    children.stop()
    assert all(map(is_gone, processes))
    assert children.children["producer"].status == 0, "asked to end, it ended cleanly"
    assert any("ended" in line for line in lines), "and said so"


def test_a_child_that_was_asked_to_end_is_not_started_again(children: Supervisor) -> None:
    child = start_producer(children, [])
    children.ask_to_end(child)
    watch(children, lambda: child in children.check(), "it has ended")
    assert (child.status, child.restarts) == (0, 0)


def test_ctrl_c_at_the_terminal_reaches_only_the_owner(children: Supervisor) -> None:
    child = start_producer(children, [])
    assert psutil.Process(child.process.pid).ppid() == psutil.Process().pid
    assert os.getsid(child.process.pid) == child.process.pid


def test_a_file_named_like_a_module_is_not_taken_for_it(
    children: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is started from wherever the user's videos are."""
    for name in ("redis.py", "random.py", "facestream.py", "msgpack.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    start_producer(children, [])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_die_with_their_owner(environment: dict[str, str], number: int) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, json.dumps(environment), *PRODUCER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    try:
        assert "began" in owner.stdout.readline()
        [child] = psutil.Process(owner.pid).children()
        owner.send_signal(number)
        owner.wait()
        wait_until(lambda: is_gone(child.pid), "the child is gone")
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


@pytest.mark.parametrize(
    ("status", "words"),
    [(None, "running"), (0, "status 0"), (3, "status 3"), (-9, "SIGKILL"), (-99, "signal 99")],
)
def test_ends_in_words(status: int | None, words: str) -> None:
    assert describe(status) == words


# Signals


def test_the_first_signal_asks_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL, "a second one kills"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_the_second_signal_kills() -> None:
    script = (
        "import signal\n"
        "from facestream.signals import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    print('ready', flush=True)\n"
        "    stop.wait()\n"
        "    print('asked', flush=True)\n"
        "    signal.pause()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    assert process.wait() == -signal.SIGINT
    process.stdout.close()
