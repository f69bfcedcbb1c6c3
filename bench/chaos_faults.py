"""What goes wrong in a chaos run, chosen by a seed: whole processes here, single requests in the proxy."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.chaos_cast import Cast, Member
from bench.chaos_watch import Recoveries
from tests.support.kept_server import KeptServer
from tests.support.proxy import Fault, FaultProxy, Request

# One request in so many is spoiled.
SPOILED_ONE_IN = 400
SPOILT = ("lose", "cut", "refuse", "duplicate", "delay", "late")
DELAY_SECONDS = (0.05, 0.3)
LATE_SECONDS = 5.5  # longer than a client waits
WORKER_AWAY_SECONDS = (4.0, 6.0)  # longer than a heartbeat may lapse
PRODUCER_AWAY_SECONDS = (1.0, 7.0)  # some longer than its lease
USURPED_SECONDS = 7.0
DOWN_SECONDS = (0.1, 1.0)
CUT_SECONDS = (0.3, 2.0)


@dataclass(slots=True)
class Spoiler:
    """Chooses requests to spoil, while `is_on`."""

    rng: random.Random
    injected: Counter[str]
    is_on: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Fault | None:
        with self._lock:
            if not self.is_on or b"CLIENT" in request[:20] or self.rng.randrange(SPOILED_ONE_IN):
                return None
            name = self.rng.choices(SPOILT, weights=(4, 4, 4, 4, 4, 1))[0]
            self.injected[f"request {name}"] += 1
            return _fault(name, self.rng.uniform(*DELAY_SECONDS))


def _fault(name: str, seconds: float) -> Fault:
    match name:
        case "late":
            return Fault("delay", LATE_SECONDS)
        case "delay":
            return Fault("delay", seconds)
        case "lose" | "cut" | "refuse" | "duplicate":
            return Fault(name)
    raise ValueError(name)


class Chaos:
    """Injects one fault after the other; what a fault leads to later (going on, coming back) is due then."""

    def __init__(
        self, rng: random.Random, server: KeptServer, proxy: FaultProxy, cast: Cast, recoveries: Recoveries
    ) -> None:
        self._rng, self._server, self._proxy = rng, server, proxy
        self._cast, self._recoveries = cast, recoveries
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.injected: Counter[str] = Counter()
        self._deck: list[tuple[str, Callable[[], bool]]] = []

    def inject(self) -> None:
        """The next fault of the deck that finds somebody to hit; one that does not comes first next time."""
        self._deck = self._deck or self._shuffle()
        for name, act in self._deck:
            if act():
                self.injected[name] += 1
                self._deck.remove((name, act))
                return

    def tick(self, *, finish: bool = False) -> None:
        """Do what is due; with `finish` all that is still to come."""
        now = time.monotonic()
        due = [entry for entry in self._due if finish or entry[0] <= now]
        for entry in due:
            self._due.remove(entry)
            entry[1]()

    def _shuffle(self) -> list[tuple[str, Callable[[], bool]]]:
        deck: dict[str, Callable[[], bool]] = {
            "worker killed": self._kill_worker,
            "producer killed": self._kill_producer,
            "worker stopped": self._stop_worker,
            "producer stopped": self._stop_producer,
            "producer usurped": self._usurp,
            "broker restarted": self._restart_broker,
            "network cut": self._cut,
        }
        return self._rng.sample(list(deck.items()), len(deck))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, act))

    def _one_of(self, members: Sequence[Member]) -> Member | None:
        running = [member for member in members if member.is_running and not member.stopped]
        return self._rng.choice(running) if running else None

    def _kill_worker(self) -> bool:
        worker = self._one_of(self._cast.workers)
        if worker is None or worker.process is None:
            return False
        worker.kill()
        self._recoveries.worker_gone(worker.process.pid)
        return True

    def _kill_producer(self) -> bool:
        producer = self._one_of(self._cast.producers)
        if producer is None:
            return False
        producer.kill()
        return True

    def _stop_worker(self) -> bool:
        worker = self._one_of(self._cast.workers)
        if worker is None or worker.process is None:
            return False
        worker.stop()
        self._recoveries.worker_gone(worker.process.pid)
        self._after(self._rng.uniform(*WORKER_AWAY_SECONDS), worker.go_on)
        return True

    def _stop_producer(self) -> bool:
        producer = self._one_of(self._cast.producers)
        if producer is None:
            return False
        producer.stop()
        self._after(self._rng.uniform(*PRODUCER_AWAY_SECONDS), producer.go_on)
        return True

    def _usurp(self) -> bool:
        producer = self._one_of(self._cast.producers)
        if producer is None:
            return False
        producer.stop()
        self._cast.usurp(producer)
        self._after(USURPED_SECONDS, self._cast.wake_usurped)
        return True

    def _restart_broker(self) -> bool:
        self._server.kill()
        time.sleep(self._rng.uniform(*DOWN_SECONDS))
        self._server.start()
        self._recoveries.broker_back()
        return True

    def _cut(self) -> bool:
        self._proxy.cut()
        self._after(self._rng.uniform(*CUT_SECONDS), self._proxy.mend)
        return True
