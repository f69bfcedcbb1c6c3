"""Child processes of the `facestream` command: watched, restarted, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Self

from facestream.errors import BusUnavailable

# -P: a redis.py among somebody's videos is not ours.
FACESTREAM = (sys.executable, "-P", "-m", "facestream")
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
STABLE_SECONDS = 60.0
EARLY_SECONDS = 10.0
GRACE_SECONDS = 10.0
# A child that ends with one of these has said what is wrong, and would say it again.
HOPELESS = (1, 2)
# One that ends with this found no broker: there may be one later, however often it has to be tried.
AWAY = BusUnavailable.exit_code
# How `facestream` begins the line with which a command ends.
LAST_WORDS = "facestream: "


@dataclass(slots=True)
class Child:
    name: str
    arguments: Sequence[str]
    restart: bool
    restart_arguments: Sequence[str]
    may_end: bool
    on_line: Callable[[str], None] | None
    process: subprocess.Popen[str]
    started_at: float = field(default_factory=time.monotonic)
    backoff_seconds: float = FIRST_BACKOFF_SECONDS
    has_started: bool = False
    early_deaths: int = 0
    restart_at: float | None = None
    restarts: int = 0
    last_words: str = ""
    readers: list[threading.Thread] = field(default_factory=list)

    @property
    def status(self) -> int | None:
        """None while running, else the exit status, negative for a signal."""
        return self.process.poll()

    def join_readers(self) -> None:
        """Wait until all that an ended child had to say was heard."""
        for reader in self.readers:
            reader.join()


class Supervisor:
    """Runs `facestream …` commands as children in sessions of their own, so that Ctrl-C reaches only us.

    Every child reads its standard input, which ends when this process does, however it dies. `tell` gets
    one line at a time of what children and the supervisor have to say; what several children die of is
    said once. A child that dies `give_up_after` times within moments of its start is not started again;
    None never gives up. One that has written to its standard output has started: being killed later on is
    not held against it, nor is a broker that is away. `on_restart` gets the name of each child that was
    started again.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        environment: Mapping[str, str],
        *,
        give_up_after: int | None = None,
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self._on_restart = on_restart
        self._tell = tell
        self._give_up_after = give_up_after
        self._environment = os.environ | environment
        self._said: set[str] = set()
        self.children: dict[str, Child] = {}

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        restart: bool = False,
        restart_arguments: Sequence[str] | None = None,
        may_end: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> Child:
        """Start a command; `on_line` gets each line of its standard output.

        `restart_arguments` take the place of `arguments` when it has to be started again. A child that
        `may_end` is done when it ends with status 0; any other is started again then, too.
        """
        again = arguments if restart_arguments is None else restart_arguments
        child = Child(name, arguments, restart, again, may_end, on_line, self._spawn(arguments))
        self._listen(child)
        self.children[name] = child
        return child

    def check(self) -> list[Child]:
        """Restart what died and may be restarted; the children that have ended for good."""
        ended = []
        for child in self.children.values():
            if child.status is None:
                continue
            if self._has_ended(child):
                ended.append(child)
            elif child.restart_at is None:
                self._plan_restart(child)
            elif time.monotonic() >= child.restart_at:
                self._restart(child)
        return ended

    def ask_to_end(self, child: Child) -> None:
        """Ask once, politely; a child so asked is not started again."""
        if child.restart:
            child.restart = False
            if child.status is None:
                child.process.terminate()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask every child to end, then make it."""
        for child in self.children.values():
            if child.status is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        for child in self.children.values():
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            self._close(child)

    def kill(self) -> None:
        for child in self.children.values():
            if child.status is None:
                child.process.kill()
        for child in self.children.values():
            child.process.wait()
            self._close(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _has_ended(self, child: Child) -> bool:
        if not child.restart or (child.may_end and child.status == 0):
            return True
        return child.status in HOPELESS or child.early_deaths == self._give_up_after

    def _plan_restart(self, child: Child) -> None:
        lasted_seconds = time.monotonic() - child.started_at
        was_killed_at_work = child.has_started and (child.status or 0) < 0
        is_early = lasted_seconds < EARLY_SECONDS and not was_killed_at_work and child.status != AWAY
        child.early_deaths = child.early_deaths + 1 if is_early else 0
        if child.early_deaths == self._give_up_after:
            self._tell(f"{child.name} died {child.early_deaths} times at its start: given up")
            return
        if lasted_seconds > STABLE_SECONDS:
            child.backoff_seconds = FIRST_BACKOFF_SECONDS
        child.restart_at = time.monotonic() + child.backoff_seconds
        self._tell(f"{child.name} died ({describe(child.status)}); restarting in {child.backoff_seconds:g} s")
        child.backoff_seconds = min(child.backoff_seconds * 2, MAX_BACKOFF_SECONDS)

    def _restart(self, child: Child) -> None:
        self._close(child)
        child.process = self._spawn(child.restart_arguments)
        child.started_at, child.restart_at, child.has_started = time.monotonic(), None, False
        child.restarts += 1
        if self._on_restart:
            self._on_restart(child.name)
        self._listen(child)

    def _spawn(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*FACESTREAM, arguments[0], "--follow-stdin", *arguments[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self._environment,
            start_new_session=True,
        )

    def _listen(self, child: Child) -> None:
        assert child.process.stdout is not None
        assert child.process.stderr is not None

        def forward(stream: IO[str], to: Callable[[str], None]) -> None:
            for line in stream:
                to(line.rstrip("\n"))

        def hear(line: str) -> None:
            child.has_started = True
            if child.on_line:
                child.on_line(line)

        def pass_on(line: str) -> None:
            if line.startswith(LAST_WORDS):
                child.last_words = line
                if line in self._said:
                    return
                self._said.add(line)
            self._tell(line)

        child.readers = [
            threading.Thread(target=forward, args=(child.process.stdout, hear), daemon=True),
            threading.Thread(target=forward, args=(child.process.stderr, pass_on), daemon=True),
        ]
        for reader in child.readers:
            reader.start()

    def _close(self, child: Child) -> None:
        child.join_readers()
        for stream in (child.process.stdin, child.process.stdout, child.process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


def describe(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "running"
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
