"""A worker's rate against its own bare loop, in the same run on the same core.

    python -m bench.worker                                    the built-in scene
    python -m bench.worker --source clip.mp4 --repeat 9       your own clip

Frames are published before the clock starts. Rounds of the worker (its real loop, with a real broker) and
of the bare loop (JPEG decode, detect, align, classify; no broker) take turns, so that the ratio holds on a
machine that is busy with other things. Both run on one core; the broker's own processor time, on another
core, is counted apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median, quantiles

from bench.bench import Bench, shared_clip
from bench.frames import DEMO, load_frames, positive, shown_source
from bench.labels import MOSAIC, Labels, count_labels, truth_of
from bench.report import Figure, Grid, Report, at_least
from bench.rig import Rig, Round, rig
from facestream.commands.options import parse_attributes
from facestream.errors import UsageError
from facestream.settings import Settings
from facestream_models import Analyser

STAGES = ("take", "decode", "detect", "align", "classify", "commit")


def add_options(parser: argparse.ArgumentParser) -> None:
    settings = Settings()
    parser.add_argument("--source", default=DEMO, help="a clip, a folder of pictures or demo:")
    parser.add_argument("--max-side", type=positive, default=640, help="longer side of a frame, in pixels")
    parser.add_argument("--attributes", default="gender", help="none, gender or gender,age")
    parser.add_argument("--engine", default="auto", help="see facestream worker --help")
    parser.add_argument("--frames", type=positive, default=60, help="frames of a round, at most")
    parser.add_argument(
        "--label-frames", type=positive, help="frames of the clip with known genders; all unless given"
    )
    parser.add_argument("--repeat", type=positive, default=15, help="rounds of each loop")
    parser.add_argument("--batch", type=positive, default=settings.batch, help="frames taken at a time")


def measure(options: argparse.Namespace, command: str) -> Report:
    roles = parse_attributes(options.attributes)
    analyser = Analyser(roles, engine=options.engine)
    analyser.warm()
    frames = load_frames(options.source, options.max_side, options.frames)
    if not frames:
        raise UsageError(f"{shown_source(options.source)} has no frame: choose another --source")
    report = _report(options, command, len(frames))
    with rig(frames, analyser, options.batch) as prepared:
        pairs = _take_turns(prepared, options.repeat)
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
        "ratios": [worker.fps / bare.fps for worker, bare in pairs],
    }
    if "gender" in roles:
        source = shared_clip(MOSAIC, DEMO)
        labels = _labels(options, analyser, source)
        report.figures += labels.figures(shown_source(source))
        report.details["labels"] = {"source": shown_source(source), **asdict(labels)}
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
    return [
        Figure("worker_fps", "worker", median(worker.fps for worker, _ in pairs), "frames/s"),
        Figure("loop_fps", "bare loop", median(bare.fps for _, bare in pairs), "frames/s"),
        Figure(
            "ratio", "worker / bare loop, median of the pairs", median(ratios), digits=3, goal=at_least(0.9)
        ),
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
    rows.append(
        row(
            "everything else",
            median(each.rest_ms_a_frame for each in workers),
            median(each.rest_ms_a_frame for each in bares),
        )
    )
    rows.append(
        row("all", median(1000 / each.fps for each in workers), median(1000 / each.fps for each in bares))
    )
    return Grid("stages_ms", "Milliseconds a frame", ("stage", "worker", "bare loop", "difference"), rows)


def _labels(options: argparse.Namespace, analyser: Analyser, source: str) -> Labels:
    """A worker's own results held against the truth of a source."""
    truth = truth_of(source)
    assert truth is not None
    frames = load_frames(source, options.max_side, options.label_frames)
    with rig(frames, analyser, options.batch) as prepared:
        prepared.worker_round()
        return count_labels(prepared.results, truth)


def _report(options: argparse.Namespace, command: str, frames: int) -> Report:
    settings = {
        "source": shown_source(options.source),
        "max_side": options.max_side,
        "attributes": options.attributes,
        "engine": options.engine,
        "frames": frames,
        "repeat": options.repeat,
        "batch": options.batch,
    }
    title = (
        f"A worker against its own bare loop: {settings['source']} at {options.max_side} px, "
        f"{options.attributes}, {frames} frames x {options.repeat}, batches of {options.batch}"
    )
    return Report("worker", title, command, settings)


BENCH = Bench("worker", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
