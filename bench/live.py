"""The live benches of `facestream bench` with the settings of docs/performance.md.

python -m bench latency carried
"""

from __future__ import annotations

import argparse

from bench.bench import Bench, shared_clip
from bench.labels import MOSAIC
from facestream_bench import cameras, latency
from facestream_bench.frames import DEMO
from facestream_bench.live import Scene
from facestream_bench.report import Report

CAMERA_FPS, LATENCY_FPS = 5.0, 10.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=shared_clip(MOSAIC, DEMO), help="a clip or demo:")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look")


def _scene(options: argparse.Namespace, fps: float) -> Scene:
    return Scene(options.source, 640, "gender", "auto", fps)


def measure_latency(options: argparse.Namespace, command: str) -> Report:
    return latency.measure(_scene(options, LATENCY_FPS), 3 * options.seconds, command)


def measure_cameras(options: argparse.Namespace, command: str) -> Report:
    report = cameras.measure(_scene(options, CAMERA_FPS), options.seconds, 8, 1000, command)
    report.name = CARRIED.name
    return report


LATENCY = Bench("latency", __doc__ or "", add_options, measure_latency)
# `bench.cameras` is about what capturing costs.
CARRIED = Bench("carried", __doc__ or "", add_options, measure_cameras)
