"""Latency of one camera on a machine that has nothing else to do."""

from __future__ import annotations

import time

from facestream_bench.live import Cameras, Scene, quantile, stage, watch
from facestream_bench.report import Figure, Report, at_most

WARM_SECONDS = 3.0
GOAL_P50_MS, GOAL_P99_MS = 25.0, 60.0


def measure(scene: Scene, seconds: float, command: str) -> Report:
    """From a frame that is captured, encoded and about to be sent to its result in the consumer's hands."""
    frames = scene.frames()
    report = Report("latency", f"Latency of one camera: {scene}", command, scene.settings())
    with stage(scene) as prepared:
        cameras = Cameras(prepared.connection, frames, ["bench"], scene.fps)
        cameras.start()
        watch(prepared.connection, WARM_SECONDS)
        before, began = cameras.published, time.monotonic()
        ages_ms = [each.age * 1000 for each in watch(prepared.connection, seconds)]
        published, elapsed = cameras.published - before, time.monotonic() - began
        cameras.stop()
    p50, p99 = (quantile(ages_ms, share) for share in (0.5, 0.99))
    report.figures = [
        Figure("p50_ms", "frame ready to result in hand, p50", p50, "ms", 1, at_most(GOAL_P50_MS)),
        Figure("p99_ms", "… p99", p99, "ms", 1, at_most(GOAL_P99_MS)),
        Figure("max_ms", "… longest", max(ages_ms, default=float("nan")), "ms"),
        Figure("results_a_second", "results", len(ages_ms) / elapsed, "a second"),
    ]
    report.details = {"published": published, "results": len(ages_ms), "late": cameras.late}
    return report
