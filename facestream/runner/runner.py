"""Carries a run from its sources to its summary: broker, workers, producer, results."""

from __future__ import annotations

import contextlib
import json
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, read_ledgers, total
from facestream.bus.tail import tail_rejects, tail_results
from facestream.errors import BusUnavailable, FacestreamError
from facestream.log import VARIABLE
from facestream.metrics import RestartCounter, serve_metrics
from facestream.runner.outage import Outage
from facestream.runner.output import READER_LEFT, JsonLines
from facestream.runner.progress import Progress
from facestream.runner.summary import Summary
from facestream.runner.tally import Tally
from facestream.settings import Settings
from facestream.supervisor import LAST_WORDS, Child, Supervisor, describe
from facestream.vitals import Health

POLL_SECONDS = 0.1
LEDGER_SECONDS = 0.25
DRAIN_SECONDS = 10.0
# Longer than it takes to adopt what a stuck worker holds.
STALLED_SECONDS = 120.0
IN_FLIGHT_AT_MOST = 16
# What a worker held when it was killed comes back after seconds, in which the others finish so many.
FINISHED_MEANWHILE = 512
GIVE_UP_AFTER = 5
STOPPING = "stopping: frames on their way are finished first; once more ends at once"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, as the command line said it."""

    sources: Sequence[str]
    workers: int
    attributes: str
    engine: str
    out: Path | None
    metrics_port: int | None


class RunFailed(FacestreamError):
    """A run that could not go on. The message is empty when a child has said why, and it was shown."""


class Runner:
    """One run against one broker. `stop` ends it cleanly: what is published still gets its results."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        url: str,
        outputs: Sequence[JsonLines],
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self._plan, self._outputs, self._progress, self._stop = plan, outputs, progress, stop
        self._connection = Connection(url, prefix=settings.prefix, partitions=settings.partitions)
        self._results, self._rejects = tail_results(self._connection), tail_rejects(self._connection)
        self._before = {ledger.camera: ledger for ledger in read_ledgers(self._connection)}
        in_flight = IN_FLIGHT_AT_MOST + plan.workers * settings.batch
        self.tally = Tally(4 * in_flight, 4 * in_flight + FINISHED_MEANWHILE * plan.workers)
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        restarts, self._health = RestartCounter(), Health()
        if plan.metrics_port is not None:
            port = plan.metrics_port + plan.workers + 1
            serve_metrics(restarts.registry, port, settings.metrics_host, health=self._health)
        self._children = Supervisor(
            progress.say, _environment(settings, url), give_up_after=GIVE_UP_AFTER, on_restart=restarts.count
        )
        self._ledger, self._ledger_at = Ledger(), 0.0
        self._drain_until: float | None = None
        self._ended, self._ended_at = -1, 0.0
        self._is_our_broker = settings.redis_url is None
        self._is_stopping = False
        self._outage = Outage(progress)

    def run(self) -> Summary:
        """Run to the end of the sources, or to the request to stop."""
        with self._children:
            self._start()
            while self._goes_on():
                pass
            self._write(self.tally.flush())
            if self._is_our_broker and not self._ledger.in_flight:
                self._children.kill()  # with empty hands, and their broker goes too: nothing to wait for
            self._children.stop()
        return self._summarise()

    def _goes_on(self) -> bool:
        """A moment of the run; False at its end. A broker that is not ours may be away for a while."""
        try:
            if not self._has_work():
                return False
            self._follow()
            self._outage.is_over()
        except BusUnavailable as error:
            asked_long_ago = self._stop.is_set() and time.monotonic() > (self._drain_until or math.inf)
            if self._is_our_broker or asked_long_ago:
                raise
            self._outage.outwait(error)
            self._ended_at = time.monotonic()  # nobody could end anything meanwhile
        return True

    def _start(self) -> None:
        plan, ports = self._plan, self._ports()
        for number in range(plan.workers):
            arguments = ["worker", "--attributes", plan.attributes, "--engine", plan.engine, *ports(number)]
            self._children.start(f"worker-{number}", arguments, restart=True)
        options = ["--attributes", plan.attributes, *ports(plan.workers)]
        before = max((ledger.epoch for ledger in self._before.values()), default=0)
        again = ["--resume", "--resume-after", str(before)]
        self._producer = self._children.start(
            "producer",
            ["producer", *options, "--", *plan.sources],
            restart=True,
            # Only what this run began is gone on with: a file may have been sent by an earlier one.
            restart_arguments=["producer", *options, *again, "--", *plan.sources],
            may_end=True,
            on_line=self._note,
        )

    def _note(self, line: str) -> None:
        with contextlib.suppress(ValueError):  # killed in the middle of a word, it says it again
            self._events.put(json.loads(line))

    def _has_work(self) -> bool:
        """Whether anything may still come: until the producer is done and nothing is in flight."""
        self._health.beat("the run")
        ended = self._children.check()
        self._refuse_hopeless(ended)
        if self._stop.is_set():
            self._begin_to_stop()
        if self._producer not in ended:
            return True
        if self._drain_until is None:
            self._drain_until = time.monotonic() + DRAIN_SECONDS
            self._ledger_at = 0.0
        self._hear()
        return not self._is_drained()

    def _begin_to_stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._progress.end()
            self._progress.say(STOPPING)
        self._children.ask_to_end(self._producer)

    def _is_drained(self) -> bool:
        """Every published frame has ended and every result was read; or, asked to stop, time is up."""
        self._look(0.02)
        if self._ledger.in_flight:
            return self._is_out_of_time()
        while results := self._results.read(0.001):
            self._write(self.tally.add(results))
        self._count_rejects()
        return True

    def _is_out_of_time(self) -> bool:
        """Whether what is in flight is not waited for any longer: it shows in the summary."""
        now, ended = time.monotonic(), self._ledger.results + sum(self._ledger.dropped.values())
        if ended != self._ended:
            self._ended, self._ended_at = ended, now
        if self._stop.is_set():
            return now > (self._drain_until or 0)
        return now > self._ended_at + STALLED_SECONDS

    def _follow(self) -> None:
        """A moment of the run: what the producer said, what results came, how far it is."""
        self._hear()
        results = self._results.read(POLL_SECONDS)
        self._write(self.tally.add(results))
        self._look(LEDGER_SECONDS)
        self._progress.show(self.tally, self._ledger)

    def _hear(self) -> None:
        while True:
            try:
                self.tally.hear(self._events.get_nowait())
            except queue.Empty:
                return

    def _look(self, every_seconds: float) -> None:
        if time.monotonic() - self._ledger_at < every_seconds:
            return
        cameras = sorted({run.camera for run in self.tally.cameras.values()})
        ledgers = read_ledgers(self._connection, cameras)
        self._ledger, self._ledger_at = total(ledgers), time.monotonic()
        self._count_rejects()

    def _count_rejects(self) -> None:
        while rejects := self._rejects.read(0.001):
            self.tally.add_rejects(rejects)

    def _write(self, results: Any) -> None:
        """Results must be drawn from the tally even when nobody keeps them."""
        ready = list(results)
        for output in self._outputs:
            try:
                output.write(ready)
            except BrokenPipeError:
                output.failed = READER_LEFT
                self._stop.set()

    def _refuse_hopeless(self, ended: list[Child]) -> None:
        for child in ended:
            if child is not self._producer:
                raise RunFailed("" if self._has_said_why(child) else _last_sign(child))

    def _has_said_why(self, child: Child) -> bool:
        child.join_readers()
        return bool(child.last_words) or child.early_deaths == GIVE_UP_AFTER

    def _ports(self) -> Callable[[int], list[str]]:
        base = self._plan.metrics_port
        return lambda number: [] if base is None else ["--metrics-port", str(base + number)]

    def _blame_producer(self) -> None:
        """A producer that failed for a reason of its own, not for a source's, fails the run."""
        producer, failed = self._producer, self.tally.failed
        if self._stop.is_set() or producer.status == 0 or (producer.status == 1 and self.tally.failures):
            return
        failed["producer"] = producer.last_words.removeprefix(LAST_WORDS) or _last_sign(producer)
        if not self._has_said_why(producer):
            self._progress.say(f"{LAST_WORDS}{_last_sign(producer)}")

    def _summarise(self) -> Summary:
        self._blame_producer()
        before = total(
            self._before[name]
            for name in {run.camera for run in self.tally.cameras.values()} & self._before.keys()
        )
        dropped = {
            reason: count - before.dropped.get(reason, 0)
            for reason, count in self._ledger.dropped.items()
            if count > before.dropped.get(reason, 0)
        }
        return Summary(
            tally=self.tally,
            ledger=self._ledger,
            dropped_after=dropped,
            workers=self._plan.workers,
            restarts=sum(child.restarts for child in self._children.children.values()),
            interrupted=self._stop.is_set(),
        )


def _last_sign(child: Child) -> str:
    return f"{child.name} ended ({describe(child.status)}) without saying why"


def _environment(settings: Settings, url: str) -> dict[str, str]:
    # Before NumPy is loaded: N workers use N cores, one each.
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # A run speaks to people, in the words of its children too.
    return settings.as_environment(url) | threads | {VARIABLE: "console"}
