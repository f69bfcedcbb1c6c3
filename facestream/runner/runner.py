"""Carries a run from its sources to its summary: broker, workers, producer, results."""

from __future__ import annotations

import json
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
from facestream.errors import FacestreamError
from facestream.metrics import RestartCounter, serve_metrics
from facestream.runner.output import JsonLines
from facestream.runner.progress import Progress
from facestream.runner.summary import Summary
from facestream.runner.tally import Tally
from facestream.settings import Settings
from facestream.supervisor import Child, Supervisor

POLL_SECONDS = 0.1
LEDGER_SECONDS = 0.25
DRAIN_SECONDS = 10.0
IN_FLIGHT_AT_MOST = 16
GIVE_UP_AFTER = 5


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
    """A run that could not go on; what its children said was already shown."""


class Runner:
    """One run against one broker. `stop` ends it cleanly: what is published still gets its results."""

    def __init__(
        self, plan: Plan, settings: Settings, url: str, progress: Progress, stop: threading.Event
    ) -> None:
        self._plan, self._settings, self._progress, self._stop = plan, settings, progress, stop
        self._connection = Connection(url, prefix=settings.prefix, partitions=settings.partitions)
        self._results, self._rejects = tail_results(self._connection), tail_rejects(self._connection)
        self._before = {ledger.camera: ledger for ledger in read_ledgers(self._connection)}
        self.tally = Tally(window=max(64, 4 * (IN_FLIGHT_AT_MOST + plan.workers * settings.batch)))
        self._out = JsonLines(plan.out, progress.say) if plan.out else None
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        restarts = RestartCounter()
        if plan.metrics_port is not None:
            serve_metrics(restarts.registry, plan.metrics_port + plan.workers + 1)
        self._children = Supervisor(
            progress.say, _environment(settings, url), give_up_after=GIVE_UP_AFTER, on_restart=restarts.count
        )
        self._ledger, self._ledger_at = Ledger(), 0.0
        self._drain_until: float | None = None

    def run(self) -> Summary:
        """Run to the end of the sources, or to the request to stop."""
        with self._children:
            self._start()
            while self._has_work():
                self._follow()
            self._write(self.tally.flush())
            self._children.stop()
        if self._out:
            self._out.close()
        return self._summarise()

    @property
    def output_failed(self) -> bool:
        return self._out is not None and self._out.failed is not None

    def _start(self) -> None:
        plan, ports = self._plan, self._ports()
        for number in range(plan.workers):
            arguments = ["worker", "--attributes", plan.attributes, "--engine", plan.engine, *ports(number)]
            self._children.start(f"worker-{number}", arguments, restart=True)
        arguments = ["producer", *plan.sources, "--attributes", plan.attributes, *ports(plan.workers)]
        self._producer = self._children.start(
            "producer",
            arguments,
            restart=True,
            restart_arguments=[*arguments, "--resume"],
            on_line=lambda line: self._events.put(json.loads(line)),
        )

    def _has_work(self) -> bool:
        """Whether anything may still come: until the producer is done and nothing is in flight."""
        ended = self._children.check()
        self._refuse_hopeless(ended)
        if self._stop.is_set():
            self._children.ask_to_end(self._producer)
        if self._producer not in ended:
            return True
        if self._drain_until is None:
            self._drain_until = time.monotonic() + DRAIN_SECONDS
            self._ledger_at = 0.0
        self._hear()
        return not self._is_drained()

    def _is_drained(self) -> bool:
        """Every published frame has ended and every result was read; or, asked to stop, time is up."""
        self._look(0.02)
        if self._ledger.in_flight:
            return self._stop.is_set() and time.monotonic() > (self._drain_until or 0)
        while results := self._results.read(0.001):
            self._write(self.tally.add(results))
        self._count_rejects()
        return True

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
        if self._out:
            self._out.write(ready)

    def _refuse_hopeless(self, ended: list[Child]) -> None:
        for child in ended:
            if child is not self._producer and child.status != 0:
                raise RunFailed(f"{child.name} cannot start; what it said is above")

    def _ports(self) -> Callable[[int], list[str]]:
        base = self._plan.metrics_port
        return lambda number: [] if base is None else ["--metrics-port", str(base + number)]

    def _summarise(self) -> Summary:
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
            results_path=str(self._plan.out) if self._plan.out else None,
        )


def _environment(settings: Settings, url: str) -> dict[str, str]:
    # Before NumPy is loaded: N workers use N cores, one each.
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return settings.as_environment(url) | threads
