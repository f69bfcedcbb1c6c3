"""Frames per second on one core, against the reference loop (bench/reference_loop.py), in the same run.

    python -m bench.reference
    python -m bench.reference --source clip.mp4 --engine onnxruntime

Rounds of the reference, of the bare loop (JPEG decode, detect, align, classify with the product's own code)
and of a worker with its broker take turns on one core, over the same bytes. By processor time, waiting and
other people's work on the machine are left out; by the clock they are in. The median over turns is given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from statistics import median

from bench.bench import Bench, shared_clip
from bench.labels import MOSAIC
from bench.reference_loop import ReferenceLoop, ReferenceRound
from facestream.errors import UsageError
from facestream.settings import Settings
from facestream_bench.frames import DEMO, load_frames, positive, shown_source
from facestream_bench.report import Figure, Goal, Grid, Report, at_least
from facestream_bench.rig import Round, rig
from facestream_models import Analyser

STAGES = ("decode", "detect", "align", "classify")
# What both loops detect at, the default of the product.
DETECT_SIDE_PX = 640
GOAL, GOAL_WITHOUT_BF16 = 1.8, 1.3
BF16 = {"avx512_bf16", "amx_bf16"}

Turn = tuple[ReferenceRound, Round, Round]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=shared_clip(MOSAIC, DEMO), help="a clip or demo:")
    parser.add_argument("--max-side", type=positive, default=640, help="longer side of a frame, in pixels")
    parser.add_argument("--engine", default="auto", help="of the product's loops; auto chooses")
    parser.add_argument("--frames", type=positive, default=60, help="frames of a round, at most")
    parser.add_argument("--repeat", type=positive, default=9, help="rounds of each loop")
    parser.add_argument("--batch", type=positive, default=Settings().batch, help="frames taken at a time")


def measure(options: argparse.Namespace, command: str) -> Report:
    analyser = Analyser(("gender",), engine=options.engine)
    frames = load_frames(options.source, options.max_side, options.frames)
    if not frames:
        raise UsageError(f"{shown_source(options.source)} has no frame: choose another --source")
    jpegs = [frame.encoded.data for frame in frames]
    reference = ReferenceLoop(DETECT_SIDE_PX)
    settings = {"source": shown_source(options.source), "max_side": options.max_side, "batch": options.batch}
    settings |= {"engine": analyser.engine, "frames": len(frames), "repeat": options.repeat}
    title = f"Against the reference loop: {settings['source']} at {options.max_side} px, gender, one core"
    report = Report("reference", title, command, settings)
    with rig(frames, analyser, options.batch) as prepared:
        loops = (lambda: reference.run(jpegs), prepared.bare_round, prepared.worker_round)
        # The first rounds warm up: an engine may compile for a size once it has come often.
        turns = [_turn(loops, number) for number in range(options.repeat + 2)][2:]
    bf16 = bool(BF16.intersection(report.machine["features"]))
    report.figures = _figures(turns, at_least(GOAL if bf16 else GOAL_WITHOUT_BF16))
    report.grids = [_stages(turns)]
    report.details = {
        "engine_reason": analyser.engine_reason,
        "reference_faces": turns[0][0].faces,
        "reference_right": turns[0][0].right,
        "speed_ups": [_cpu(bare, against) for against, bare, _ in turns],
    }
    return report


def _turn(loops: Sequence[Callable[[], object]], number: int) -> Turn:
    """One round of each; who begins goes round."""
    rounds: dict[int, object] = {}
    for place in range(len(loops)):
        which = (place + number) % len(loops)
        rounds[which] = loops[which]()
    return rounds[0], rounds[1], rounds[2]  # type: ignore[return-value]


def _cpu(ours: Round, reference: ReferenceRound) -> float:
    return (ours.frames / ours.cpu_seconds) / (reference.frames / reference.cpu_seconds)


def _figures(turns: Sequence[Turn], goal: Goal) -> list[Figure]:
    by_clock = [bare.fps / against.fps for against, bare, _ in turns]
    workers = [worker.fps / against.fps for against, _, worker in turns]
    speed_up = median(_cpu(bare, against) for against, bare, _ in turns)
    worker_up = median(_cpu(worker, against) for against, _, worker in turns)
    fps = [median(turn[which].fps for turn in turns) for which in range(3)]
    return [
        Figure("reference_fps", "reference loop", fps[0], "frames/s"),
        Figure("loop_fps", "bare loop", fps[1], "frames/s"),
        Figure("worker_fps", "worker", fps[2], "frames/s"),
        Figure("speed_up", "bare loop / reference, by processor time", speed_up, "x", 2, goal),
        Figure("speed_up_clock", "… by the clock", median(by_clock), "x", 2),
        Figure("worker_speed_up", "worker / reference, by processor time", worker_up, "x", 2),
        Figure("worker_speed_up_clock", "… by the clock", median(workers), "x", 2),
    ]


def _stages(turns: Sequence[Turn]) -> Grid:
    def ms(stage: str, which: int) -> float:
        return median(turn[which].stages.get(stage, 0) * 1000 / turn[which].frames for turn in turns)

    rows = [(stage, ms(stage, 0), ms(stage, 1)) for stage in STAGES]
    whole = [
        median(turn[which].cpu_seconds * 1000 / turn[which].frames for turn in turns) for which in (0, 1)
    ]
    rows.append(("processor time in all", whole[0], whole[1]))
    return Grid("stages_ms", "Milliseconds a frame", ("stage", "reference", "bare loop"), rows)


BENCH = Bench("reference", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
