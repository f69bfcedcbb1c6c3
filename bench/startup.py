"""From the command to the first result: `facestream run CLIP --out -`, until its first line is there.

    python -m bench.startup
    python -m bench.startup --source clip.mp4 --repeat 9

Where the time goes is told by the first result itself (its worker's process, when its frame was captured,
when it was complete), and by starting each part alone: those overlap in a run, so they do not add up.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from bench.bench import ROOT, Bench, shared_clip
from bench.labels import MOSAIC
from facestream.errors import FacestreamError
from facestream_bench.frames import DEMO, positive, shown_source
from facestream_bench.report import Figure, Grid, Report, below

GOAL_SECONDS = 2
PARTS_REPEAT = 3

WORKER_IMPORTS = (
    "import cv2, onnxruntime, prometheus_client, facestream.bus.connection, facestream.metrics, "
    "facestream.settings, facestream_models, facestream_models.analyser, facestream_worker.loop"
)
# Each alone in a process of its own, the interpreter's start included.
PARTS = {
    "Python itself": "pass",
    "command line parsed": "import facestream.commands.app",
    "embedded broker up and down": "from facestream.broker import EmbeddedBroker; EmbeddedBroker().close()",
    "worker: imports": WORKER_IMPORTS,
    "worker: imports, networks warm": f"{WORKER_IMPORTS}; facestream_models.Analyser(ROLES).warm()",
    "producer: imports": "import facestream.settings, facestream_producer.session",
}


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the command to the worker's start and to the first line, and from capture to that line."""

    to_worker: float | None
    frame: float
    to_line: float
    results: int


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=shared_clip(MOSAIC, DEMO), help="a clip or demo:")
    parser.add_argument("--attributes", default="gender", help="none, gender or gender,age")
    parser.add_argument("--repeat", type=positive, default=5, help="starts")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {
        "source": shown_source(options.source),
        "attributes": options.attributes,
        "repeat": options.repeat,
    }
    title = f"To the first result of `facestream run {settings['source']}`, median of {options.repeat}"
    report = Report("startup", title, command, settings)
    starts = [_start(options) for _ in range(options.repeat)]
    to_line = [each.to_line for each in starts]
    report.figures = [
        Figure(
            "first_result_s",
            "from the command to the first result",
            median(to_line),
            "s",
            2,
            below(GOAL_SECONDS),
        ),
        Figure("slowest_s", "… slowest", max(to_line), "s", 2),
        *_legs(starts),
    ]
    report.grids = [_parts(options)]
    report.details = {"starts": len(starts), "first_results": sum(each.results for each in starts)}
    return report


def _legs(starts: Sequence[Start]) -> list[Figure]:
    to_worker = [each.to_worker for each in starts if each.to_worker is not None]
    figures = [
        Figure(
            "frame_s", "… of which from capture to the result's line", median(s.frame for s in starts), "s", 2
        )
    ]
    if to_worker:
        legs = "… of which until the workers are started (command, broker)"
        figures.insert(0, Figure("to_worker_s", legs, median(to_worker), "s", 2))
    return figures


def _start(options: argparse.Namespace) -> Start:
    """One run, ended as soon as its first line has come."""
    arguments = ["run", options.source, "--attributes", options.attributes, "--out", "-"]
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "facestream", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            to_line, now = time.perf_counter() - began, time.time()
            if line:
                result = json.loads(line)
                seen = _to_worker(process.pid, result)
                return Start(seen, now - result["captured_at_us"] / 1e6, to_line, 1)
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            process.wait()
        said.seek(0)
        last = [text for text in said.read().splitlines() if text.strip()][-1:] or ["it said nothing"]
    raise FacestreamError(f"the run ended without a result: {last[0]}")


def _to_worker(run: int, result: dict[str, str]) -> float | None:
    """Seconds between the run's start and that of the worker which made this result."""
    try:
        worker = psutil.Process(int(result["worker"].rsplit("-", 2)[1]))
        return worker.create_time() - psutil.Process(run).create_time()
    except (psutil.Error, ValueError, IndexError):
        return None


def _parts(options: argparse.Namespace) -> Grid:
    roles = "()" if options.attributes == "none" else repr(tuple(options.attributes.split(",")))
    seconds: dict[str, list[float]] = {name: [] for name in PARTS}
    for _ in range(min(options.repeat, PARTS_REPEAT)):
        for name, code in PARTS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code.replace("ROLES", roles)], check=True, cwd=ROOT)
            seconds[name].append(time.perf_counter() - began)
    # The least: these are for seeing what there is to gain, and other work on the machine only adds.
    rows = [(name, min(taken)) for name, taken in seconds.items()]
    title = "Each part alone, Python's own start included, at best"
    return Grid("parts_s", title, ("part", "seconds"), rows)


BENCH = Bench("startup", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
