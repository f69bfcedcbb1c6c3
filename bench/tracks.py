"""How many people a tracker makes of clips in which they were counted, and what a result costs it.

    python -m bench.tracks                       all clips beside the project, in some minutes
    python -m bench.tracks --results results.jsonl --seconds 20
    python -m bench.tracks --clips grid_bbaf2n.mpg mosaic_a.mp4 --seconds 5

The clips are analysed by `facestream run`, unless --results names the file that such a run wrote. Each is
then tracked twice: every frame, and every sixth, as cameras are run. The cost is the processor time of a
whole `facestream tracker` process, broker's replies and snapshots included, while results of the mosaic come
from many cameras at a pace.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.bench import SHARED_VIDEOS, Bench
from bench.labels import MOSAIC
from bench.tracks_crowd import choices, crowds
from bench.tracks_load import Load, measure_load
from facestream.contract import ResultMap, TrackMap
from facestream.errors import UsageError
from facestream_bench.frames import DEMO, positive
from facestream_bench.report import Figure, Goal, Grid, Report, at_least, at_most, below, within
from facestream_producer.demo import parse_demo
from facestream_tracker.camera import Camera

LONG = "fgnet_talking_face_franck.mp4"
SPARSE = 6
_LETTERS = {"F": "female", "M": "male"}


@dataclass(frozen=True, slots=True)
class Truth:
    """people: who are in the clip at once at most, and over all of it too. genders: from left to right."""

    people: int
    genders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tracked:
    """right, unknown: of the tracks of a clip with as many tracks as people, those whose gender is so."""

    tracks: int
    frames: int
    seconds: float
    right: int
    unknown: int
    switches: int


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="some of the clips beside the project")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="what `facestream run CLIPS --out` wrote"
    )
    parser.add_argument("--cameras", type=positive, default=40, help="that send results to the tracker")
    parser.add_argument("--rate", type=positive, default=1000, help="results a second, over all cameras")
    parser.add_argument("--scenes", type=positive, default=20, help="crowds of each kind")
    parser.add_argument("--seconds", type=positive, default=20, help="for so long")


def measure(options: argparse.Namespace, command: str) -> Report:
    truths = _wanted(options.clips)
    results = _by_source(options.results or _analyse(list(truths)))
    dense = {name: track(each, truths[name]) for name, each in results.items() if name in truths}
    sparse = {name: track(results[name][::SPARSE], truths[name]) for name in dense}
    load = measure_load(_busiest(results), options.cameras, options.rate, options.seconds)
    settings = {"clips": len(dense), "cameras": options.cameras, "rate": options.rate}
    title = f"People of {len(dense)} clips, and a tracker at {options.rate:,} results a second"
    report = Report("tracks", title, command, settings)
    report.figures = [*_figures(dense, truths, ""), *_figures(sparse, truths, "sparse_"), *_costs(load)]
    report.grids = [_grid(truths, dense, sparse), crowds(options.scenes), choices()]
    report.details = {"results": load.results, "track_events": load.events, "snapshot_bytes": load.bytes}
    return report


def track(results: Sequence[ResultMap], truth: Truth) -> Tracked:
    camera = Camera("bench")
    for result in results:
        camera.take(result)
    camera.finish()
    closed = [event for event in camera.said.tracks if event["event"] == "closed"]
    closed.sort(key=lambda event: event["path"][0][1])
    labels = [event["gender"]["label"] for event in closed]
    is_known = len(closed) == len(truth.genders)
    pairs = list(zip(labels, truth.genders, strict=True)) if is_known else []
    return Tracked(
        len(closed),
        len(results),
        (results[-1]["pts_us"] - results[0]["pts_us"]) / 1e6,
        sum(label == gender for label, gender in pairs),
        sum(label == "unknown" for label, _ in pairs),
        sum(_changes_place(event) for event in closed),
    )


def _changes_place(event: TrackMap) -> bool:
    """In the mosaic each stays in a quarter: a track that is in two of them has gone to another person."""
    quarters = {(x + width / 2 > 0.5, y + height / 2 > 0.5) for _, x, y, width, height in event["path"]}
    return len(quarters) > 1


def _figures(found: dict[str, Tracked], truths: dict[str, Truth], key: str) -> Iterator[Figure]:
    said = "every sixth frame: " if key else ""

    def figure(
        name: str, label: str, value: float, unit: str, digits: int, goal: Goal | None = None
    ) -> Figure:
        return Figure(key + name, said + label, value, unit, digits, goal)

    exact = sum(each.tracks == truths[name].people for name, each in found.items())
    yield figure("exact", "clips with as many tracks as people", exact, "", 0, within(len(found), 0))
    counted = [each for name, each in found.items() if each.tracks == len(truths[name].genders)]
    people, unknown = sum(each.tracks for each in counted), sum(each.unknown for each in counted)
    right = 100 * sum(each.right for each in counted) / max(1, people - unknown)
    yield figure("right_percent", "gender right, of labelled tracks", right, "%", 1)
    yield figure("unknown_percent", "gender unknown", 100 * unknown / max(1, people), "%", 1)
    if MOSAIC in found:
        mosaic = found[MOSAIC]
        yield figure("mosaic_tracks", "mosaic: tracks of 4 people", mosaic.tracks, "", 0, within(4, 0))
        yield figure("mosaic_switches", "mosaic: switches", mosaic.switches, "", 0, within(0, 0))
        share = 100 * mosaic.right / 4
        yield figure("mosaic_right_percent", "mosaic: gender right", share, "%", 0, at_least(100))
    if LONG in found:
        fragments = (found[LONG].tracks - 1) / (found[LONG].seconds / 60)
        yield figure(
            "fragments_a_minute", "long clip: tracks too many, a minute", fragments, "", 2, at_most(0)
        )


def _costs(load: Load) -> Iterator[Figure]:
    share = load.core_percent
    yield Figure("core_percent", "processor time of a tracker", share, "% of a core", 1, below(30))
    yield Figure("cpu_us", f"a result, of {load.faces_a_result:.0f} faces", load.cpu_us, "us", 0)
    yield Figure("most_a_second", "results a second of processor time", load.most_a_second, "", 0)


def _grid(truths: dict[str, Truth], dense: dict[str, Tracked], sparse: dict[str, Tracked]) -> Grid:
    columns = ("clip", "people", "tracks", "gender right", "tracks of 1/6", "gender right of 1/6", "frames")
    rows: list[list[str | int | float | None]] = []
    for name, each in sorted(dense.items()):
        few = sparse[name]
        rows.append([name, truths[name].people, each.tracks, each.right, few.tracks, few.right, each.frames])
    return Grid("clips", "Clip by clip", columns, rows)


def _wanted(clips: Sequence[str] | None) -> dict[str, Truth]:
    """The clips that are asked for, or all beside the project, or else the demo scene; and their truth."""
    known = dict(_beside_the_project())
    wanted = clips or list(known) or [DEMO]
    truths = {name: _of_demo(name) if name.startswith(DEMO) else known.get(name) for name in wanted}
    found = {name: truth for name, truth in truths.items() if truth is not None}
    if len(found) < len(wanted):
        absent = next(name for name in wanted if name not in found)
        raise UsageError(f"{absent} is not among the clips beside the project: see their clips.csv")
    return found


def _beside_the_project() -> Iterator[tuple[str, Truth]]:
    table = SHARED_VIDEOS / "clips.csv"
    if table.exists():
        with table.open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                letters = row["gender_left_to_right"]
                yield row["file"], Truth(int(row["people_max"]), tuple(_LETTERS[each] for each in letters))
        yield MOSAIC, Truth(4, ("female", "female", "male", "male"))


def _of_demo(source: str) -> Truth:
    genders = [gender for (x, *_), gender in sorted(parse_demo(source).truth(0))]
    return Truth(len(genders), tuple(genders))


def _analyse(names: Sequence[str]) -> Path:
    """The results of the clips, by the whole system."""
    out = Path(tempfile.mkdtemp(prefix="fs-bench-")) / "results.jsonl"
    sources = [name if name.startswith(DEMO) else str(SHARED_VIDEOS / name) for name in names]
    command = [sys.executable, "-m", "facestream", "run", "--attributes", "gender,age", "--out", str(out)]
    done = subprocess.run([*command, "--", *sources], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"facestream run did not end well: {done.stderr.strip().splitlines()[-1:]}")
    return out


def _by_source(path: Path) -> dict[str, list[ResultMap]]:
    found: dict[str, list[ResultMap]] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                result: ResultMap = json.loads(line)
                found.setdefault(result["source"], []).append(result)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path} ({type(error).__name__}): name what a run wrote") from None
    return found


def _busiest(results: dict[str, list[ResultMap]]) -> list[ResultMap]:
    """The mosaic, or else what has the most faces a frame."""
    return results.get(MOSAIC) or max(results.values(), key=_faces_a_frame)


def _faces_a_frame(results: list[ResultMap]) -> float:
    return sum(len(result["faces"]) for result in results) / len(results)


BENCH = Bench("tracks", __doc__ or "", add_options, measure, ("--seconds", "15"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
