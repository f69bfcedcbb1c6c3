"""How soon what a dead worker held is in other hands, when the broker goes away about then, too.

    python -m bench.adoption
    python -m bench.adoption --down 0.1 2 --deaths 20

In each round several workers die, one after the other over four seconds, each with a frame in its hands and
two others beside it; then the broker is killed, stays away for a while and comes back with its data. So the
end of a dead worker's silence (3 s) falls before, into and after the time in which there was no broker.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.bench import Bench
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.taker import LAPSE_SECONDS, Taker
from facestream.errors import BusError, FacestreamError
from facestream_bench.broker import make_header
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report, at_most
from facestream_worker.loop import run
from tests.support.kept_server import KeptServer
from tests.support.plain import PlainPipeline

SPREAD_SECONDS, OLDEST_SECONDS = 3.8, 4.2
BLOCKED_SECONDS = 1.4
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 15.0


@dataclass(slots=True)
class Death:
    """A worker that died with a frame in its hands; times are monotonic, `adopted_at` 0 until then."""

    prefix: str
    died_at: float
    adopted_at: float = 0.0

    @property
    def seconds(self) -> float:
        return self.adopted_at - self.died_at


@dataclass(slots=True)
class Round:
    deaths: list[Death] = field(default_factory=list)
    killed_at: float = 0.0
    back_at: float = 0.0

    @property
    def seconds(self) -> list[float]:
        return [death.seconds for death in self.deaths]

    def late_seconds(self, death: Death) -> float:
        """After the silence was over, or after the broker came back where it was away at that moment."""
        lapse = death.died_at + LAPSE_SECONDS
        return death.adopted_at - (self.back_at if self.killed_at <= lapse <= self.back_at else lapse)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--down", type=float, nargs="+", default=[0.1, 0.5, 1.0], help="seconds, a round each"
    )
    parser.add_argument("--deaths", type=positive, default=10, help="workers that die in a round")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {"down": options.down, "deaths": options.deaths}
    report = Report("adoption", "What a dead worker held, in other hands", command, settings)
    rounds = {down: _round(down, options.deaths) for down in options.down}
    rows = [
        [down, each.back_at - each.killed_at, len(each.deaths), min(each.seconds), max(each.seconds)]
        for down, each in rounds.items()
    ]
    columns = ["down, s", "no broker for, s", "deaths", "adopted after, s, at least", "at most"]
    report.grids = [Grid("rounds", "Rounds", columns, rows)]
    seconds = [every for each in rounds.values() for every in each.seconds]
    late = [each.late_seconds(death) for each in rounds.values() for death in each.deaths]
    report.figures = [
        Figure("deaths_seen", "deaths with a frame in hand", len(seconds), digits=0),
        Figure("adopted_max_s", "adopted, at most", max(seconds), "s", 2, at_most(5)),
        Figure("late_max_s", "… after the silence or the broker's return", max(late), "s", 2),
    ]
    return report


def _round(down_seconds: float, deaths: int) -> Round:
    made = Round()
    with KeptServer() as server, _beside(server.url, deaths):
        began = time.monotonic()
        dying = [
            threading.Thread(
                target=_die, args=(server.url, number, began + number * SPREAD_SECONDS / deaths, made)
            )
            for number in range(deaths)
        ]
        watch = threading.Thread(target=_watch, args=(server.url, made, deaths))
        for thread in [*dying, watch]:
            thread.start()
        time.sleep(max(0.0, began + BLOCKED_SECONDS + OLDEST_SECONDS - time.monotonic()))
        made.killed_at = time.monotonic()
        server.kill()
        time.sleep(down_seconds)
        server.start()
        made.back_at = time.monotonic()
        for thread in [*dying, watch]:
            thread.join()
    made.deaths = [death for death in made.deaths if death.adopted_at]
    if not made.deaths:
        raise FacestreamError("no worker died with a frame in its hands that was adopted afterwards")
    return made


@contextmanager
def _beside(url: str, deaths: int) -> Iterator[None]:
    """Two workers for each that dies, under a prefix of their own."""
    stop = threading.Event()

    def work(prefix: str, name: str) -> None:
        taker = Taker(Connection(url, prefix=prefix), name)
        run(taker, PlainPipeline(name), [], stop, batch_size=4)  # type: ignore[arg-type]

    names = [(_prefix(number), f"w{each}") for number in range(deaths) for each in range(2)]
    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in names]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _prefix(number: int) -> str:
    return f"adoption{number}"


def _die(url: str, number: int, at: float, made: Round) -> None:
    """Wait for a frame for longer than the others, and so be served first; then never be heard of again."""
    connection = Connection(url, prefix=_prefix(number))
    taker, epoch = Taker(connection, "dead"), Epoch.begin(connection, "cam", live=False, depth=4)
    assert isinstance(epoch, Epoch)
    taker.join()
    time.sleep(max(0.0, at - time.monotonic()))
    taker.sweep()
    waiting = threading.Thread(target=lambda: taker.take(1, BLOCKED_SECONDS + 0.5))
    waiting.start()
    time.sleep(BLOCKED_SECONDS)
    epoch.totals.capture()
    epoch.publish(make_header("cam"), b"no picture")
    waiting.join()
    if connection.read("HLEN", connection.keys.held(0, "dead")):
        made.deaths.append(Death(connection.keys.prefix, time.monotonic()))


def _watch(url: str, made: Round, deaths: int) -> None:
    connection = Connection(url, prefix="adoption")
    deadline = time.monotonic() + BLOCKED_SECONDS + OLDEST_SECONDS + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        waiting = [death for death in made.deaths if not death.adopted_at]
        if made.back_at and not waiting:
            return
        for death in waiting:
            try:
                if not any(
                    connection.read("HLEN", f"{death.prefix}:{{0}}:held:{who}") for who in ("dead", "orphans")
                ):
                    death.adopted_at = time.monotonic()
            except BusError:
                break
        time.sleep(POLL_SECONDS)


BENCH = Bench("adoption", __doc__ or "", add_options, measure, short=("--down", "0.5", "1"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
