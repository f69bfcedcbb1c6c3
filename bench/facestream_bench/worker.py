"""A worker's rate against its own bare loop, in the same run on the same core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles

from facestream.commands.options import parse_attributes
from facestream.errors import UsageError
from facestream_bench.frames import load_frames, shown_source
from facestream_bench.report import Figure, Grid, Report, at_least
from facestream_bench.rig import Rig, Round, rig
from facestream_models import Analyser

# `broker`: having computed, the loop waits for it.
STAGES = ("decode", "detect", "align", "classify", "broker")
GOAL = 0.95


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure with. max_side: pixels; frames: of a round, at most; repeat: rounds of each loop."""

    source: str
    max_side: int
    attributes: str
    engine: str
    frames: int
    repeat: int
    batch: int

    @property
    def roles(self) -> tuple[str, ...]:
        return parse_attributes(self.attributes)


def measure(plan: Plan, command: str, analyser: Analyser | None = None) -> Report:
    """Rounds of the worker's real loop, with a real broker, and of the bare loop take turns on one core.

    Frames are published before the clock starts; the broker's processor time, on another core where there
    is one, is counted apart. Raises UsageError where the source has no frame.
    """
    analyser = analyser or Analyser(plan.roles, engine=plan.engine)
    analyser.warm()
    frames = load_frames(plan.source, plan.max_side, plan.frames)
    if not frames:
        raise UsageError(f"{shown_source(plan.source)} has no frame: choose another --source")
    report = _report(plan, command, analyser, len(frames))
    with rig(frames, analyser, plan.batch) as prepared:
        pairs = _take_turns(prepared, plan.repeat)
        results = prepared.results
    report.figures = _rates(pairs)
    report.grids = [_stages(pairs)]
    sizes = [len(frame.encoded.data) for frame in frames]
    report.details = {
        "frames": len(frames),
        "results": len(results),
        "dropped": sum(worker.dropped for worker, _ in pairs),
        "frame_kb": sum(sizes) / len(sizes) / 1000,
        "models": analyser.models,
        "engine_reason": analyser.engine_reason,
        "ratios": [worker.fps / bare.fps for worker, bare in pairs],
    }
    return report


def _take_turns(prepared: Rig, repeat: int) -> list[tuple[Round, Round]]:
    """Pairs of a worker's round and a bare one, after one of each to warm up; who begins alternates."""
    prepared.worker_round()
    prepared.bare_round()
    pairs = []
    for number in range(repeat):
        if number % 2:
            bare = prepared.bare_round()
            pairs.append((prepared.worker_round(), bare))
        else:
            worker = prepared.worker_round()
            pairs.append((worker, prepared.bare_round()))
    return pairs


def _rates(pairs: Sequence[tuple[Round, Round]]) -> list[Figure]:
    ratios = [worker.fps / bare.fps for worker, bare in pairs]
    cpu_ratios = [bare.cpu_seconds / worker.cpu_seconds for worker, bare in pairs]
    frames = sum(worker.frames for worker, _ in pairs)
    broker_us = sum(worker.broker_cpu_seconds for worker, _ in pairs) * 1e6 / frames
    elapsed = sum(worker.seconds for worker, _ in pairs)
    low, high = _middle_half(ratios)
    goal = at_least(GOAL)
    return [
        Figure("worker_fps", "worker", median(worker.fps for worker, _ in pairs), "frames/s"),
        Figure("loop_fps", "bare loop", median(bare.fps for _, bare in pairs), "frames/s"),
        Figure("ratio", "worker / bare loop, median of the pairs", median(ratios), digits=3, goal=goal),
        Figure("ratio_low", "… lower quartile", low, digits=3),
        Figure("ratio_high", "… upper quartile", high, digits=3),
        Figure("cpu_ratio", "… by processor time, waiting left out", median(cpu_ratios), digits=3),
        Figure("broker_cpu_us", "broker's processor time", broker_us, "µs/frame", 0),
        Figure("broker_cpu_percent", "… of a core", broker_us * frames / elapsed / 1e4, "%", 1),
    ]


def _middle_half(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def _stages(pairs: Sequence[tuple[Round, Round]]) -> Grid:
    workers, bares = [worker for worker, _ in pairs], [bare for _, bare in pairs]

    def row(name: str, worker_ms: float, bare_ms: float) -> tuple[str, float, float, float]:
        return name, worker_ms, bare_ms, worker_ms - bare_ms

    rows = [
        row(
            stage,
            median(each.ms_a_frame(stage) for each in workers),
            median(each.ms_a_frame(stage) for each in bares),
        )
        for stage in STAGES
    ]
    rest = [median(each.rest_ms_a_frame for each in loops) for loops in (workers, bares)]
    whole = [median(1000 / each.fps for each in loops) for loops in (workers, bares)]
    rows += [row("everything else", *rest), row("all", *whole)]
    return Grid("stages_ms", "Milliseconds a frame", ("stage", "worker", "bare loop", "difference"), rows)


def _report(plan: Plan, command: str, analyser: Analyser, frames: int) -> Report:
    source = shown_source(plan.source)
    settings = asdict(plan) | {"source": source, "engine": analyser.engine, "frames": frames}
    title = (
        f"A worker against its own bare loop: {source} at {plan.max_side} px, {plan.attributes}, "
        f"{analyser.engine}, {frames} frames x {plan.repeat}, batches of {plan.batch}"
    )
    return Report("worker", title, command, settings)
