"""What capturing a camera costs: processor time for each published frame, against the bare decode.

    python -m bench.capture                                  the built-in scene, as a camera would send it
    python -m bench.capture --source clip.mp4 --fps 10       your own clip

Of a stream of 30 frames a second 5 are published. Capturing decodes what it must, picks, and makes a JPEG;
the bare decode is the same stream through FFmpeg and nothing else: in this process through PyAV, and by the
`ffmpeg` command where there is one. All on one thread, in turns. Reading from the network is not in it.

The scene is encoded twice: with a sensor's noise at the bit rate of a camera, and as it is drawn, which takes
a quarter of that. The fewer bits, the cheaper the decoding, and the more the rest weighs.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av

from bench.bench import Bench
from bench.clips import FPS, as_a_camera
from facestream.settings import Settings
from facestream_bench.frames import DEMO, positive, shown_source
from facestream_bench.report import Figure, Grid, Report, at_most
from facestream_producer.container import video_stream
from facestream_producer.encoder import Encoder
from facestream_producer.played import PlayedFile

GOAL = 1.3


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=f"{DEMO}seconds=12,fps={FPS}", help="a clip or demo:")
    parser.add_argument("--mbit", type=float, default=2.0, help="of the scene with noise, a second")
    parser.add_argument("--fps", type=float, default=5.0, help="frames published of each second")
    parser.add_argument("--max-side", type=positive, nargs="+", default=[1280, 960, 640], help="in pixels")
    parser.add_argument("--repeat", type=positive, default=15, help="rounds of each; the quickest counts")


def measure(options: argparse.Namespace, command: str) -> Report:
    names = ("fps", "max_side", "repeat", "mbit")
    settings = {name: getattr(options, name) for name in names} | {"source": shown_source(options.source)}
    title = f"Capturing {settings['source']}, {options.fps:g} frames a second published"
    report = Report("capture", title, command, settings)
    columns = ["way"]
    table: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="fsbench-") as folder:
        for stream, clip in _clips(options, Path(folder)).items():
            published = sum(1 for _ in PlayedFile(clip, fps=options.fps, realtime=False).frames())
            costs = _take_turns(_ways(clip, options), options.repeat)
            each = {name: seconds * 1000 / published for name, seconds in costs.items()}
            report.figures += _figures(stream, each, options.max_side)
            columns.append(stream)
            for name, cost in each.items():
                table.setdefault(name, []).append(cost)
    rows = [[name, *found] for name, found in table.items()]
    report.grids = [Grid("cpu_ms", "Processor time, ms a published frame", columns, rows)]
    return report


def _clips(options: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """What is measured, by the name of each stream."""
    if not options.source.startswith(DEMO):
        return {shown_source(options.source): Path(options.source)}
    noisy = as_a_camera(options.source, folder / "noisy.mp4", mbit=options.mbit)
    drawn = as_a_camera(options.source, folder / "drawn.mp4")
    return {f"{_mbit(noisy):.1f} Mbit/s": noisy, f"as drawn, {_mbit(drawn):.1f} Mbit/s": drawn}


def _mbit(clip: Path) -> float:
    with av.open(str(clip)) as container:
        return clip.stat().st_size * 8 / ((container.duration or 1) / av.time_base) / 1e6


def _ways(clip: Path, options: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """What is measured, each a function that does it once and says its processor seconds."""
    ways: dict[str, Callable[[], float]] = {"bare decode, PyAV": partial(_own, partial(_decode, clip))}
    if program := shutil.which("ffmpeg"):
        ways["bare decode, ffmpeg"] = partial(_bare_ffmpeg, program, clip)
    for side in options.max_side:
        ways[_capture_name(side)] = partial(_own, partial(_capture, clip, options.fps, side))
    return ways


def _figures(stream: str, each: dict[str, float], sides: list[int]) -> list[Figure]:
    figures = []
    for against in [name for name in each if name.startswith("bare")]:
        by = against.rpartition(" ")[2].lower()
        for side in sides:
            label = f"{stream}: capture at {side} px over {against}"
            ratio = each[_capture_name(side)] / each[against]
            figures.append(Figure(f"{stream} {by} {side}", label, ratio, "x", 2, at_most(GOAL)))
    return figures


def _capture_name(side: int) -> str:
    return f"capture, {side} px"


def _take_turns(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    # The quickest of each: what else runs on the machine only ever adds to the processor time of a round.
    return {name: min(found) for name, found in seconds.items()}


def _own(action: Callable[[], None]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def _bare_ffmpeg(program: str, clip: Path) -> float:
    """The command's decoding, without its own start: all of the clip, less its first frame alone."""
    source = [program, "-nostdin", "-loglevel", "error", "-threads", "1", "-i", f"file:{clip.absolute()}"]
    whole = [*source, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "null", "-"]
    first = [*source, "-map", "0:v:0", "-frames:v", "1", "-f", "null", "-"]
    return _childs(whole) - _childs(first)


def _childs(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _decode(clip: Path) -> None:
    with av.open(str(clip)) as container:
        for _ in container.decode(video_stream(container, clip.name)):
            pass


def _capture(clip: Path, fps: float, max_side: int) -> None:
    encoder = Encoder(max_side=max_side, quality=Settings().jpeg_quality)
    for frame in PlayedFile(clip, fps=fps, realtime=False).frames():
        encoder.encode(frame.picture)


BENCH = Bench(
    "capture", __doc__ or "", add_options, measure, short=("--repeat", "9", "--max-side", "1280", "960")
)

if __name__ == "__main__":
    sys.exit(BENCH.main())
