"""Many cameras on one machine: does each get its rate, and are all slowed alike when there are too many?

    python -m bench.cameras                                30 and 90 cameras
    python -m bench.cameras --cameras 60 --processes 1     as many as you like, in one process

Cameras are looped H.264 files at their own pace, in a registry; `facestream producer` attaches them, and
publishes 5 of their 30 frames a second. Nobody reads those, so the broker drops the oldest. The rate of each
is what its ledger counts as published in the time measured. Wants the machine for itself: what else runs on
it takes from the rates, and little from the ratio of the slowest to the fastest.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import psutil

from bench.bench import Bench
from bench.clips import as_a_camera
from bench.producers import camera_names, studio
from facestream.cores import usable_cores
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report, at_least
from facestream_bench.server import Server

SIZE = (640, 360)
SCENE = "demo:seconds=10,fps=30"
# A crowd no larger than this shall get its rates; a larger one shall be slowed alike.
ENOUGH = 30


@dataclass(frozen=True, slots=True)
class Crowd:
    """What became of so many cameras. rates: frames a second of each. cores: kept busy by the producer."""

    cameras: int
    rates: list[float]
    cores: float
    broker_cores: float

    @property
    def slowest_over_fastest(self) -> float:
        return min(self.rates) / max(self.rates)

    @property
    def ms_a_frame(self) -> float:
        return self.cores * 1000 / sum(self.rates)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cameras", type=positive, nargs="+", default=[30, 90], help="how many")
    parser.add_argument("--source", default=SCENE, help="what they show, of the built-in scene")
    parser.add_argument("--fps", type=float, default=5.0, help="frames published of each second")
    parser.add_argument("--processes", type=positive, default=len(usable_cores()), help="of the producer")
    parser.add_argument("--warm", type=float, default=10.0, help="seconds that are not measured")
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds that are")


def measure(options: argparse.Namespace, command: str) -> Report:
    with tempfile.TemporaryDirectory(prefix="fsbench-") as folder:
        clip = as_a_camera(options.source, Path(folder) / "camera.mp4", size=SIZE)
        crowds = [_watch(count, clip, options) for count in options.cameras]
    settings = {name: getattr(options, name) for name in ("cameras", "fps", "processes", "warm", "seconds")}
    title = f"Cameras of {SIZE[0]}x{SIZE[1]}, {options.fps:g} of 30 frames a second published"
    report = Report("cameras", title, command, settings)
    report.figures = [_figure(crowd, options.fps) for crowd in crowds]
    columns = ("cameras", "slowest /s", "mean /s", "fastest /s", "slowest / fastest")
    columns += ("producer, cores", "ms a frame", "broker, cores")
    report.grids = [Grid("crowds", "Frames published", columns, [_row(crowd) for crowd in crowds])]
    report.details = {"rates": {str(crowd.cameras): sorted(crowd.rates) for crowd in crowds}}
    return report


def _figure(crowd: Crowd, fps: float) -> Figure:
    count = crowd.cameras
    if count <= ENOUGH:
        share = min(crowd.rates) / fps * 100
        return Figure(
            f"share_{count}", f"{count} cameras: the slowest, of its rate", share, "%", 1, at_least(90)
        )
    ratio = crowd.slowest_over_fastest
    return Figure(f"fair_{count}", f"{count} cameras: slowest over fastest", ratio, "", 2, at_least(0.8))


def _row(crowd: Crowd) -> list[int | float]:
    rates = [min(crowd.rates), fmean(crowd.rates), max(crowd.rates), crowd.slowest_over_fastest]
    return [crowd.cameras, *rates, crowd.cores, crowd.ms_a_frame, crowd.broker_cores]


def _watch(count: int, clip: Path, options: argparse.Namespace) -> Crowd:
    """Attach so many cameras and count what each publishes in a while."""
    names = camera_names(count)
    with studio(clip) as made:
        made.add(names, options.fps)
        server = Server(made.connection)
        with made.producer(options.processes) as producer:
            made.wait_for_all(names)
            time.sleep(options.warm)
            spent, server_spent, began = _cpu(producer), server.cpu_seconds(), time.monotonic()
            rates = made.rates(names, options.seconds)
            took = time.monotonic() - began
            cores, broker_cores = _cpu(producer) - spent, server.cpu_seconds() - server_spent
    return Crowd(count, list(rates.values()), cores / took, broker_cores / took)


def _cpu(process: psutil.Process) -> float:
    """Processor seconds of it and of its children."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in family)


BENCH = Bench("cameras", __doc__ or "", add_options, measure, short=("--seconds", "20"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
