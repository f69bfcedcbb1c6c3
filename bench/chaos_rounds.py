"""What the producers of a chaos run carry: short clips of the demo scene, or tiny frames of many cameras."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import av
import cv2

from bench.chaos_cast import Round
from facestream_producer.demo import DemoSource

CAMERAS_A_ROUND = 4
NULL_FRAMES = 2500
WIDTH, HEIGHT = 640, 360
FRAMES, FPS = 40, 10
SEEDS = (1, 2)


class Rounds:
    """One after the other; every round has cameras of its own. `is_over`: no more are given."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._is_null, self._left = options.pipeline == "null", options.frames
        self._number = itertools.count()
        self.is_over = False
        self.worker_command = ["bench.chaos_null", "worker"]
        if not self._is_null:
            self.worker_command = ["facestream", "worker", "--follow-stdin"]
            self._clips = _make_clips(folder)

    def next(self, _producer: int) -> Round | None:
        if self.is_over:
            return None
        number = next(self._number)
        made = self._null(number) if self._is_null else self._real(number)
        if self._left is not None:
            self._left = max(0, self._left - made[1])
            self.is_over = self._left == 0
        return made

    def _null(self, number: int) -> Round:
        wanted = min(CAMERAS_A_ROUND * NULL_FRAMES, self._left or CAMERAS_A_ROUND * NULL_FRAMES)
        shares = [len(range(start, wanted, CAMERAS_A_ROUND)) for start in range(CAMERAS_A_ROUND)]
        cameras = [f"null-{number}-{each}={share}" for each, share in enumerate(shares) if share]
        return ["bench.chaos_null", "producer", *cameras], wanted

    def _real(self, number: int) -> Round:
        clip, frames = self._clips[number % len(self._clips)]
        camera = f"{clip.stem}-{number}"
        command = ["facestream", "producer", str(clip), "--camera", camera, "--resume", "--follow-stdin"]
        return command, frames


def _make_clips(folder: Path) -> list[tuple[Path, int]]:
    """A clip of each seed and how many frames it has."""
    return [_make(folder / f"clip{seed}.mp4", seed) for seed in SEEDS]


def _make(path: Path, seed: int) -> tuple[Path, int]:
    scene = DemoSource(seconds=FRAMES / FPS, seed=seed, fps=FPS)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 2_000_000
        for number in range(FRAMES):
            small = cv2.resize(scene.picture(number), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="bgr24")))
        container.mux(stream.encode())
    return path, FRAMES
