"""A worker's rate against its own bare loop, as `facestream bench worker` measures it, and its labels.

    python -m bench.worker                                    the built-in scene
    python -m bench.worker --source clip.mp4 --repeat 9       your own clip

The labels a worker publishes are held against the truth where that is known.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from bench.bench import Bench, shared_clip
from bench.labels import MOSAIC, Labels, count_labels, truth_of
from facestream.settings import Settings
from facestream_bench import worker
from facestream_bench.frames import DEMO, load_frames, positive, shown_source
from facestream_bench.report import Report
from facestream_bench.rig import rig
from facestream_models import Analyser


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
    plan = worker.Plan(
        *(options.source, options.max_side, options.attributes, options.engine),
        *(options.frames, options.repeat, options.batch),
    )
    analyser = Analyser(plan.roles, engine=plan.engine)
    report = worker.measure(plan, command, analyser)
    if "gender" in plan.roles:
        source = shared_clip(MOSAIC, DEMO)
        labels = _labels(options, analyser, source)
        report.figures += labels.figures(shown_source(source))
        report.details["labels"] = {"source": shown_source(source), **asdict(labels)}
    return report


def _labels(options: argparse.Namespace, analyser: Analyser, source: str) -> Labels:
    """A worker's own results held against the truth of a source."""
    truth = truth_of(source)
    assert truth is not None
    frames = load_frames(source, options.max_side, options.label_frames)
    with rig(frames, analyser, options.batch) as prepared:
        prepared.worker_round()
        return count_labels(prepared.results, truth)


BENCH = Bench("worker", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
