"""The processes of a chaos run: started, killed, stopped, usurped, and started again as an operator would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from bench.bench import ROOT

RESTART_SECONDS = 0.3


@dataclass(slots=True)
class Member:
    """A place in the cast, and the process that has it now. frames: of the round a producer is at."""

    name: str
    command: Sequence[str] = ()
    frames: int = 0
    process: subprocess.Popen[bytes] | None = None
    said: IO[bytes] | None = None
    restart_at: float = 0.0
    stopped: bool = False

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        if self.process:
            self.process.kill()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGSTOP)
            self.stopped = True

    def go_on(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
        self.stopped = False


Round = tuple[Sequence[str], int]
"""A producer's command, and the frames it is to publish."""


@dataclass(slots=True)
class Cast:
    """Workers for good; producers that carry one round after the other until `next_round` has no more.

    expected: frames of all rounds begun. ends: how often a process of a kind ended by itself, and its last
    words.
    """

    address: str
    worker_command: Sequence[str]
    next_round: Callable[[int], Round | None]
    workers: list[Member] = field(default_factory=list)
    producers: list[Member] = field(default_factory=list)
    usurped: list[subprocess.Popen[bytes]] = field(default_factory=list)
    expected: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def enter(self, workers: int, producers: int) -> None:
        self.workers = [Member(f"worker-{number}", self.worker_command) for number in range(workers)]
        self.producers = [Member(f"producer-{number}") for number in range(producers)]
        self.tend()

    def tend(self) -> None:
        """Start what is to be started; a producer whose round is complete gets the next."""
        now = time.monotonic()
        for member in [*self.workers, *self.producers]:
            if member.process is None:
                self._begin_round(member)
            elif not member.is_running:
                self._bury(member, now)
            if member.process is None and member.command and now >= member.restart_at:
                self._start(member)

    def is_done(self) -> bool:
        """Whether every producer has carried its last round to the end."""
        return all(member.process is None and not member.command for member in self.producers)

    def workers_at_work(self) -> set[int]:
        """The process numbers of workers that are running; from any thread."""
        at_work = [each.process for each in self.workers if each.is_running and not each.stopped]
        return {process.pid for process in at_work if process}

    def usurp(self, member: Member) -> None:
        """Start another producer in the place of one that is stopped; the first finds itself fenced."""
        assert member.process
        self.usurped.append(member.process)
        member.stopped = False
        self._start(member)

    def wake_usurped(self) -> None:
        for process in self.usurped:
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End everybody, politely first; nobody stays."""
        processes = [member.process for member in [*self.workers, *self.producers] if member.process]
        processes += self.usurped
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + 10
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin
            process.stdin.close()

    def _begin_round(self, member: Member) -> None:
        if member.command or member not in self.producers:
            return
        given = self.next_round(self.producers.index(member))
        if given:
            member.command, member.frames = given
            self.expected += member.frames

    def _bury(self, member: Member, now: float) -> None:
        assert member.process
        assert member.process.stdin
        status = member.process.returncode
        member.process.stdin.close()
        member.process, member.stopped, member.restart_at = None, False, now + RESTART_SECONDS
        kind = member.name.partition("-")[0]
        if status == 0 and kind == "producer":
            member.command = ()
        elif status >= 0:
            self.ends[f"{kind}: {self._last_words(member)}"] += 1

    def _last_words(self, member: Member) -> str:
        assert member.said
        member.said.seek(0)
        lines = member.said.read().decode(errors="replace").split("\n")
        words = next((line for line in reversed(lines) if line.strip()), "nothing")
        return words.replace(self.address, "the broker").partition(" (")[0][:90]

    def _start(self, member: Member) -> None:
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "FACESTREAM_REDIS": self.address}
        member.said = tempfile.TemporaryFile()  # noqa: SIM115 (read when the process has ended)
        member.process = subprocess.Popen(
            [sys.executable, "-m", *member.command],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=member.said,
            start_new_session=True,
        )
