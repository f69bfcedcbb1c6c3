"""Everything is killed, stopped, cut and restarted while frames flow; at the end every frame has one end.

    python -m bench.chaos                                            two minutes of real frames
    python -m bench.chaos --seconds 10 --workers 2 --producers 1
    python -m bench.chaos --pipeline null --frames 1000000           the loops alone, with tiny frames

A server that keeps its data, the fault proxy in front of it, producers and workers in processes of their
own. A seed decides which faults come in which order: kill -9 and SIGSTOP of workers and producers, a second
producer in the place of a stopped one, SIGKILL of the broker, a cut network, spoiled single requests. When
the time is over or the frames are published, the faults stop, everything drains, and three counts are
compared: the frames of the sources, the ledger, and what a reader of the results saw. Exit status 1 when
they differ, or when nothing was injected.

The time until what a dead worker held is in other hands is told twice: where other workers were there all the
while, without the time in which the broker could not be reached; and as it was, whatever else happened.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from bench.__main__ import write_into
from bench.bench import OUT, one_line_on_error, open_console
from bench.chaos_cast import Cast
from bench.chaos_faults import Chaos, Spoiler
from bench.chaos_rounds import Rounds
from bench.chaos_watch import Reader, Recoveries
from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, read_ledgers, total
from facestream.errors import BusError, FacestreamError
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Goal, Grid, Report, at_least, at_most, within
from tests.support.kept_server import KeptServer
from tests.support.proxy import FaultProxy

TICK_SECONDS = 0.02
PATIENCE_SECONDS = 180.0
ADOPTED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, over. expected: frames of the sources. seconds: until everything had drained."""

    expected: int
    ledger: Ledger
    differences: int
    reader: Reader
    injected: Counter[str]
    recoveries: Recoveries
    ends: Counter[str]
    seconds: float

    @property
    def dropped(self) -> Counter[str]:
        return +(Counter(self.ledger.dropped) + Counter(self.ledger.dropped_at_source))

    @property
    def lost(self) -> int:
        """Frames of the sources that a reader saw no result of, and of which no drop tells."""
        return self.expected - self.reader.distinct - sum(self.dropped.values())

    @property
    def unaccounted(self) -> int:
        """What does not close in the ledger, what is left in it, and results that nobody could read."""
        left = self.ledger.in_flight + self.ledger.in_hand_of_producer
        return self.differences + left + self.reader.unreadable


def main() -> int:
    options = _options()
    held = True

    def act() -> None:
        nonlocal held
        report = measure(options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.to_json(), indent=2)
        options.out.write_text(text + "\n", encoding="utf-8")
        if options.json:
            print(text)
        else:
            report.print(open_console())
        if options.write:
            write_into(options.write, [report])
        # A time that was missed is told; only frames that were decide.
        held = all(figure.met is not False for figure in report.figures if figure.unit != "s")

    status = one_line_on_error(act)
    return status or (0 if held else 1)


def measure(options: argparse.Namespace) -> Report:
    outcome = _run(options)
    amount = f"{options.frames:,} frames" if options.frames else f"{options.seconds:g} s"
    title = f"Chaos: {options.pipeline} pipeline, {amount}, seed {options.seed}"
    settings = {name: getattr(options, name) for name in ("pipeline", "producers", "workers", "seed")}
    settings |= {"seconds": options.seconds, "frames": options.frames, "every": options.every}
    command = " ".join(["python -m bench.chaos", *_shown(sys.argv[1:])])
    return _report(outcome, Report("chaos", title, command, settings))


def _run(options: argparse.Namespace) -> Outcome:
    rng = random.Random(options.seed)
    with ExitStack() as stack:
        server = stack.enter_context(KeptServer())
        injected: Counter[str] = Counter()
        spoiler = Spoiler(random.Random(options.seed + 1), injected)
        proxy = stack.enter_context(FaultProxy(server.url, spoiler))
        connection = Connection(server.url)
        stack.callback(connection.close)
        reader = Reader(connection)
        stack.callback(reader.close)
        rounds = Rounds(options, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        cast = Cast(proxy.url, rounds.worker_command, rounds.next)
        stack.callback(cast.close)
        watch = Recoveries(connection, reader, cast.workers_at_work, lambda: proxy.is_cut)
        recoveries = stack.enter_context(watch)
        chaos = Chaos(rng, server, proxy, cast, recoveries)
        began = time.monotonic()
        cast.enter(options.workers, options.producers)
        _wait(cast, lambda: reader.distinct > 0, "no result at all")
        _torment(chaos, cast, rounds, options, time.monotonic())
        spoiler.is_on = False
        chaos.tick(finish=True)
        rounds.is_over = True
        _wait(cast, cast.is_done, "the producers did not come to an end")
        _wait(cast, lambda: _is_drained(connection, reader), "not everything drained", allowed=True)
        seconds = time.monotonic() - began
        ledgers = read_ledgers(connection)
        differences = sum(abs(each.source_difference) + abs(each.broker_difference) for each in ledgers)
        injected += chaos.injected
        whole = total(ledgers)
        return Outcome(cast.expected, whole, differences, reader, injected, recoveries, cast.ends, seconds)


def _torment(chaos: Chaos, cast: Cast, rounds: Rounds, options: argparse.Namespace, began: float) -> None:
    """Until the time is over, or until the last frames are under way."""
    inject_at = began
    while True:
        now = time.monotonic()
        if (rounds.is_over and cast.is_done()) if options.frames else now >= began + options.seconds:
            return
        if now >= inject_at:
            chaos.inject()
            inject_at = now + options.every
        chaos.tick()
        cast.tend()
        time.sleep(TICK_SECONDS)


def _wait(cast: Cast, condition: Callable[[], bool], otherwise: str, *, allowed: bool = False) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            if allowed:  # what is left is reported
                return
            raise FacestreamError(f"{otherwise} within {PATIENCE_SECONDS:g} s")
        cast.tend()
        time.sleep(TICK_SECONDS)


def _is_drained(connection: Connection, reader: Reader) -> bool:
    try:
        whole = total(read_ledgers(connection))
    except BusError:
        return False
    return whole.in_flight == 0 and reader.distinct >= whole.results


def _report(outcome: Outcome, report: Report) -> Report:
    ledger, recoveries = outcome.ledger, outcome.recoveries
    unwanted = within(0, 0)
    report.figures = [
        _count("frames", "frames of the sources", outcome.expected, at_least(1)),
        _count("captured", "captured", ledger.captured),
        _count("published", "published", ledger.published),
        _count("results", "results", ledger.results),
        _count("dropped_frames", "dropped, for a counted reason", outcome.dropped.total()),
        _count("faults", "faults injected", outcome.injected.total(), at_least(1)),
        _count("lost", "lost", outcome.lost, unwanted),
        _count("double", "double", outcome.reader.double, unwanted),
        _count("unaccounted", "unaccounted", outcome.unaccounted, unwanted),
        Figure("fps", "results a second, faults included", ledger.results / outcome.seconds, "frames/s"),
    ]
    with_others = [each.seconds - each.away_seconds for each in recoveries.adopted if not each.alone]
    adopted = "what a dead worker held is in other hands"
    report.figures += _times("adopted", adopted, with_others, at_most(ADOPTED_SECONDS))
    all_told = [each.seconds for each in recoveries.adopted]
    report.figures += _times("adopted_all", "… broker away or nobody else there included", all_told)
    report.figures += _times("returned", "from the broker's return to the next result", recoveries.returned)
    report.grids = [
        Grid("injected", "Faults injected", ["fault", "times"], sorted(outcome.injected.items())),
        Grid("dropped", "Dropped", ["reason", "frames"], sorted(outcome.dropped.items())),
        Grid("ends", "Ended by itself and started again", ["who", "times"], sorted(outcome.ends.items())),
    ]
    report.details = {
        "seconds": round(outcome.seconds, 1),
        "not_recovered": recoveries.open,
        "adoptions": [
            {"seconds": each.seconds, "away_seconds": each.away_seconds, "alone": each.alone}
            for each in recoveries.adopted
        ],
    }
    return report


def _shown(arguments: Sequence[str]) -> list[str]:
    """Without where the outcome goes."""
    words = iter(arguments)
    shown = []
    for word in words:
        if word in ("--write", "--out"):
            next(words, None)
        elif word != "--json":
            shown.append(word)
    return shown


def _count(key: str, label: str, frames: int, goal: Goal | None = None) -> Figure:
    return Figure(key, label, frames, digits=0, goal=goal)


def _times(key: str, label: str, seconds: Sequence[float], goal: Goal | None = None) -> list[Figure]:
    if not seconds:
        return []
    p95 = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return [
        Figure(f"{key}_max_s", f"{label}, at most", max(seconds), "s", 2, goal),
        Figure(f"{key}_p95_s", f"… 95 % of {len(seconds)}", p95, "s", 2),
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="how long faults are injected")
    parser.add_argument("--frames", type=positive, help="until so many frames are published, instead")
    parser.add_argument("--producers", type=positive, default=2, help="producer processes")
    parser.add_argument("--workers", type=positive, default=2, help="worker processes")
    parser.add_argument("--seed", type=int, default=1, help="decides which faults come in which order")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one fault to the next")
    parser.add_argument("--pipeline", choices=("real", "null"), default="real", help="what workers do")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="put the tables between its markers")
    parser.add_argument("--out", type=Path, default=OUT / "chaos.json", help="where the JSON goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
