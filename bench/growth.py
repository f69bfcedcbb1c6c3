"""How a frame's time grows with its faces and its size: linear or better is the goal.

    python -m bench.growth

Faces: the demo's people side by side, so many of them, in a picture of one size. Size: the same four faces
in pictures of 360 to 2160 lines. Processor time of one core, the median over rounds that take turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from bench.bench import Bench
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report, at_most
from facestream_models import Analyser
from facestream_models.portraits import PORTRAITS, portrait_bytes
from facestream_models.stages import Stages

Image = NDArray[np.uint8]

FACES = (0, 1, 4, 16, 64)
LINES = (360, 720, 1080, 2160)
# The heads of both portraits: rows and columns of the pictures.
HEADS = (
    (PORTRAITS[0], slice(0, 240), slice(120, 330)),
    (PORTRAITS[1], slice(None), slice(None)),
)
WIDTH, HEIGHT = 1280, 720
COLUMNS, ROWS = 16, 4
GREY = 96
# Linear, and what one run differs from the next.
MOST_GROWTH = 1.5


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", default="auto", help="see facestream worker --help")
    parser.add_argument("--repeat", type=positive, default=15, help="rounds of each")


def measure(options: argparse.Namespace, command: str) -> Report:
    cv2.setNumThreads(1)
    analyser = Analyser(("gender",), engine=options.engine)
    settings = {"engine": analyser.engine, "repeat": options.repeat}
    report = Report("growth", f"A frame's time by faces and size: {analyser.engine}", command, settings)
    crowds = {number: picture_of(number) for number in FACES}
    sizes = {lines: _resized(picture_of(4), lines) for lines in LINES}
    by_faces = _times(analyser, crowds, options.repeat)
    by_size = _times(analyser, sizes, options.repeat)
    found = {number: len(analyser(picture)) for number, picture in crowds.items()}
    few, many = (_slope_us(by_faces, *pair) for pair in ((1, 16), (16, 64)))
    small, large = (_slope_us(by_size, *pair, weigh=_megapixels) for pair in ((360, 1080), (1080, 2160)))
    report.figures = [
        Figure("face_us", "a further face, from 1 to 16", few, "µs", 0),
        Figure("far_face_us", "… from 16 to 64", many, "µs", 0),
        Figure("faces_growth", "… times as much", many / few, "x", 2, at_most(MOST_GROWTH)),
        Figure("megapixel_us", "a further megapixel, from 360 to 1,080 lines", small, "µs", 0),
        Figure("far_megapixel_us", "… from 1,080 to 2,160", large, "µs", 0),
        Figure("size_growth", "… times as much", large / small, "x", 2, at_most(MOST_GROWTH)),
    ]
    report.grids = [
        _grid("faces_ms", "Milliseconds by faces, at 1280 x 720", "faces", by_faces),
        _grid("size_ms", "Milliseconds by lines, four faces", "lines", by_size),
    ]
    report.details = {"found": {str(number): count for number, count in found.items()}}
    return report


def picture_of(faces: int) -> Image:
    """So many portraits, the two of the package in turn, on grey, each in a cell of its own."""
    heads = [_decoded(name)[rows, columns] for name, rows, columns in HEADS]
    scene = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    width, height = WIDTH // COLUMNS, HEIGHT // ROWS
    for number in range(faces):
        head = heads[number % len(heads)]
        scale = min(width / head.shape[1], height / head.shape[0])
        small = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top, left = number // COLUMNS * height, number % COLUMNS * width
        scene[top : top + small.shape[0], left : left + small.shape[1]] = small
    return scene


def _decoded(name: str) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(portrait_bytes(name), np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _resized(picture: Image, lines: int) -> Image:
    size = (lines * 16 // 9, lines)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _times(analyser: Analyser, pictures: Mapping[int, Image], repeat: int) -> dict[int, dict[str, float]]:
    """Milliseconds of each stage, and in all, by the pictures' keys."""
    jpegs = {
        key: simplejpeg.encode_jpeg(each, quality=85, colorspace="BGR") for key, each in pictures.items()
    }
    taken: dict[int, list[Stages]] = {key: [] for key in jpegs}
    for _ in range(repeat + 1):
        for key, jpeg in jpegs.items():
            stages, began = Stages(), time.thread_time()
            with stages.measure("decode"):
                picture = simplejpeg.decode_jpeg(jpeg, colorspace="BGR")
            analyser.analyse([picture], stages=stages)
            stages["all"] = time.thread_time() - began
            taken[key].append(stages)
    names = ("decode", "detect", "align", "classify", "all")
    return {
        key: {name: median(each.get(name, 0.0) for each in rounds[1:]) * 1000 for name in names}
        for key, rounds in taken.items()
    }


def _slope_us(
    times: Mapping[int, Mapping[str, float]], low: int, high: int, weigh: Callable[[int], float] = float
) -> float:
    """Microseconds of processor time that each further one costs, between two of the table's rows."""
    return 1000 * (times[high]["all"] - times[low]["all"]) / (weigh(high) - weigh(low))


def _megapixels(lines: int) -> float:
    return lines * (lines * 16 // 9) / 1e6


def _grid(key: str, title: str, what: str, times: Mapping[int, Mapping[str, float]]) -> Grid:
    columns: Sequence[str] = ("decode", "detect", "align", "classify", "all")
    rows = [(number, *(values[name] for name in columns)) for number, values in times.items()]
    return Grid(key, title, (what, *columns), rows)


BENCH = Bench("growth", __doc__ or "", add_options, measure)

if __name__ == "__main__":
    sys.exit(BENCH.main())
