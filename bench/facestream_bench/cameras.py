"""How many live cameras one worker on one core sustains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facestream_bench.frames import Frame
from facestream_bench.live import Cameras, Scene, Stage, quantile, stage, watch
from facestream_bench.report import Figure, Grid, Report, at_least

MOST_AGE_MS = 500.0
# A camera whose frames are dropped is not sustained, however fresh the rest are.
MOST_DROPPED = 0.01
WARM_SECONDS = 2.0
GOAL = 30


@dataclass(frozen=True, slots=True)
class Step:
    """What so many cameras looked like; ages in milliseconds, shares from 0 to 1."""

    cameras: int
    results_a_second: float
    p50_ms: float
    p95_ms: float
    dropped: float
    worker_cpu: float
    broker_cpu: float
    late: int

    @property
    def holds(self) -> bool:
        return self.p95_ms <= MOST_AGE_MS and self.dropped <= MOST_DROPPED


def measure(scene: Scene, seconds: float, first: int, most: int, command: str) -> Report:
    """Doubles the number of cameras until it fails, then closes in on the last that holds."""
    frames = scene.frames()
    report = Report("cameras", f"Cameras a core: {scene}", command, scene.settings() | {"seconds": seconds})
    with stage(scene) as prepared:
        steps = _ramp(prepared, frames, scene.fps, seconds, first, most)
    best = max((step for step in steps if step.holds), key=lambda step: step.cameras, default=None)
    report.figures = _figures(best, scene.fps)
    report.grids = [_table(steps)]
    return report


def _ramp(
    prepared: Stage, frames: Sequence[Frame], fps: float, seconds: float, first: int, most: int
) -> list[Step]:
    steps = [_step(prepared, frames, fps, seconds, first)]
    while steps[-1].holds and steps[-1].cameras < most:
        steps.append(_step(prepared, frames, fps, seconds, min(most, steps[-1].cameras * 2)))
    low = max((step.cameras for step in steps if step.holds), default=0)
    high = steps[-1].cameras
    # To within a tenth: a busy machine is no steadier than that.
    while high - low > max(1, high // 10):
        step = _step(prepared, frames, fps, seconds, (low + high) // 2)
        steps.append(step)
        low, high = (step.cameras, high) if step.holds else (low, step.cameras)
    return steps


def _step(prepared: Stage, frames: Sequence[Frame], fps: float, seconds: float, count: int) -> Step:
    cameras = Cameras(prepared.connection, frames, [f"bench-{count}-{i}" for i in range(count)], fps)
    cameras.start()
    watch(prepared.connection, WARM_SECONDS)
    worker, broker = cpu_seconds(prepared.worker_pid), prepared.server.cpu_seconds()
    published, late = cameras.published, cameras.late
    ages_ms = [each.age * 1000 for each in watch(prepared.connection, seconds)]
    published, late = cameras.published - published, cameras.late - late
    worker, broker = cpu_seconds(prepared.worker_pid) - worker, prepared.server.cpu_seconds() - broker
    cameras.stop()
    watch(prepared.connection, 1.0)
    dropped = max(0.0, 1 - len(ages_ms) / max(1, published))
    return Step(
        count, len(ages_ms) / seconds, quantile(ages_ms, 0.5), quantile(ages_ms, 0.95), dropped,
        worker / seconds, broker / seconds, late,
    )  # fmt: skip


def _figures(best: Step | None, fps: float) -> list[Figure]:
    if best is None:
        return [Figure("cameras", "cameras sustained", 0, digits=0, goal=at_least(GOAL))]
    return [
        Figure("cameras", "cameras sustained", best.cameras, digits=0, goal=at_least(GOAL)),
        Figure("frames_a_second", "… which send", best.cameras * fps, "frames/s", 0),
        Figure("p95_ms", "… age of their results, p95", best.p95_ms, "ms", 0),
        Figure("worker_cpu_percent", "… worker's core in use", 100 * best.worker_cpu, "%", 0),
        Figure("broker_cpu_percent", "… broker's", 100 * best.broker_cpu, "%", 0),
    ]


def _table(steps: Sequence[Step]) -> Grid:
    rows = [
        (
            *(step.cameras, step.results_a_second, step.p50_ms, step.p95_ms, 100 * step.dropped),
            *(100 * step.worker_cpu, step.late, "yes" if step.holds else "no"),
        )
        for step in sorted(steps, key=lambda step: step.cameras)
    ]
    columns = ("cameras", "results/s", "p50 ms", "p95 ms", "dropped %", "worker core %", "sent late")
    return Grid("steps", "Every number tried", (*columns, "sustained"), rows, 1)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
