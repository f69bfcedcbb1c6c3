"""How often the models are right: detection, apparent gender by group, age, and one whole clip.

    python -m bench.accuracy               everything, in a little over a minute
    python -m bench.accuracy --limit 300   a sample of each, in seconds

Needs labelled pictures that are not part of the project (--data); what is absent is skipped and said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench import labelled
from bench.labelled import Portrait
from facestream_models import Analyser, Estimates, Faces, Labels

ROOT = Path(__file__).resolve().parent.parent
UNKNOWN = "unknown"
Z_OF_95_PERCENT = 1.96
SAME_FACE_IOU = 0.5
LARGE_FACE_PX = 40
CLIP_WIDTH_PX = 640
JPEG_QUALITY = 85
BATCH = 8

Row = dict[str, Any]
Report = dict[str, list[Row]]
Answer = tuple[Portrait, Faces | None]


def main() -> int:
    options = _options()
    cv2.setNumThreads(1)
    console = Console()
    analyser = Analyser(("gender", "age"), engine=options.engine)
    report: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": analyser.models,
        "engine": analyser.engine,
        "engine_reason": analyser.engine_reason,
        "limit": options.limit,
    }
    for name, measure, place in (
        ("detection", measure_detection, options.data / "detection" / "boxes.csv"),
        ("clip", measure_clip, options.data / "videos" / "mosaic_a.mp4"),
        ("portraits", measure_portraits, options.data / "gender" / "labels.csv"),
    ):
        if not place.exists():
            print(f"skipped {name}: there is no {place} (--data names the folder)", file=sys.stderr)
            continue
        report[name] = measure(analyser, place, options.limit)
        for title, rows in report[name].items():
            console.print(_table(title, rows))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {options.out}")
    return 0


def measure_detection(analyser: Analyser, boxes_csv: Path, limit: int | None) -> Report:
    """Recall at IoU 0.5 of annotated faces by difficulty and size, and finds that are none of them."""
    large = f"{LARGE_FACE_PX} px or more"
    hits: dict[str, list[bool]] = {name: [] for name in (*labelled.DIFFICULTIES, large)}
    false_finds = pictures = 0
    for scene in labelled.scenes(boxes_csv, limit):
        faces = analyser.analyse([scene.image()], [()])[0]
        seen, unexplained = match(scene.boxes, faces.boxes)
        groups = scene.groups | {large: scene.boxes[:, 3] >= LARGE_FACE_PX}
        for name, members in groups.items():
            hits[name] += seen[members & scene.valid].tolist()
        false_finds += unexplained
        pictures += 1
    rows = [{"faces": name, **_share("recall", found)} for name, found in hits.items()]
    return {
        "detection recall": rows,
        "finds that no annotation explains": [{"pictures": pictures, "a picture": false_finds / pictures}],
    }


def measure_clip(analyser: Analyser, clip: Path, limit: int | None) -> Report:
    """Faces a frame, and gender by the half of the picture: women are on the left, men on the right."""
    frames = faces = 0
    right: list[bool] = []
    images = labelled.frames(clip, CLIP_WIDTH_PX, JPEG_QUALITY, limit)
    for batch in labelled.batches(images, BATCH):
        for image, found in zip(batch, analyser.analyse(batch, [("gender",)] * len(batch)), strict=True):
            frames, faces = frames + 1, faces + len(found)
            middles = found.boxes[:, 0] + found.boxes[:, 2] / 2
            truths = np.where(middles < image.shape[1] / 2, "female", "male").tolist()
            right += [a == b for a, b in zip(_genders(found), truths, strict=True) if a != UNKNOWN]
    row = {"frames": frames, "faces a frame": faces / frames, **_share("right", right)}
    return {f"{clip.name} at {CLIP_WIDTH_PX} px": [{**row, "unknown": 1 - len(right) / max(1, faces)}]}


def measure_portraits(analyser: Analyser, labels_csv: Path, limit: int | None) -> Report:
    """Gender and age of the face nearest to the middle of each portrait, by group."""
    answers = [(each, _middle_face(analyser, each)) for each in labelled.portraits(labels_csv, limit)]
    fairface = [answer for answer in answers if answer[0].source == "fairface"]
    return {
        "apparent gender by source": _by(lambda each: each.source, answers),
        "apparent gender, the balanced part of FairFace": _by(
            lambda _: "balanced", [answer for answer in fairface if answer[0].balanced]
        ),
        "apparent gender by age (FairFace)": _by(lambda each: each.age, fairface),
        "apparent gender by gender (FairFace)": _by(lambda each: each.gender, fairface),
        "apparent gender by race (FairFace)": _by(lambda each: each.race, fairface),
        "apparent gender by race and gender (FairFace)": _by(
            lambda each: f"{each.race}, {each.gender}", fairface
        ),
        "age by band (FairFace)": _ages(fairface),
    }


def match(truths: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[NDArray[np.bool_], int]:
    """Which of the true boxes were found, each by another one, and how many found boxes overlap none.

    Both (n, 4) x, y, width, height; found ones best first, each takes the truth it overlaps most.
    """
    overlaps = _iou(truths, found)
    seen = np.zeros(len(truths), np.bool_)
    unexplained = 0
    for column in overlaps.T:
        if column.max(initial=0.0) < SAME_FACE_IOU:
            unexplained += 1
            continue
        free = np.where(seen, 0.0, column)
        if free.max() >= SAME_FACE_IOU:
            seen[free.argmax()] = True
    return seen, unexplained


def _iou(truths: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float32]:
    left_top = np.maximum(truths[:, None, :2], found[None, :, :2])
    right_bottom = np.minimum((truths[:, :2] + truths[:, 2:])[:, None], (found[:, :2] + found[:, 2:])[None])
    shared = np.clip(right_bottom - left_top, 0, None).prod(axis=2)
    together = truths[:, 2:].prod(axis=1)[:, None] + found[:, 2:].prod(axis=1)[None] - shared
    return np.asarray(shared / np.maximum(together, 1e-9), np.float32)


def _middle_face(analyser: Analyser, portrait: Portrait) -> Faces | None:
    """The one face nearest to the middle of the picture, None where none was found."""
    image = portrait.image()
    faces = analyser(image)
    if not len(faces):
        return None
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    nearest = int(np.abs(faces.boxes[:, :2] + faces.boxes[:, 2:] / 2 - middle).max(axis=1).argmin())
    one = slice(nearest, nearest + 1)
    attributes = {role: answer.part(nearest, nearest + 1) for role, answer in faces.attributes.items()}
    return Faces(faces.boxes[one], faces.scores[one], faces.landmarks[one], attributes)


def _by(group: Callable[[Portrait], str], answers: list[Answer]) -> list[Row]:
    """Per group: how many faces, how many of them found and labelled, and how many labels right."""
    rows = []
    for name in sorted({group(portrait) for portrait, _ in answers}, key=_by_number):
        members = [(portrait, faces) for portrait, faces in answers if group(portrait) == name]
        labels = [(portrait.gender, _genders(faces)[0]) for portrait, faces in members if faces is not None]
        right = [truth == label for truth, label in labels if label != UNKNOWN]
        rows.append(
            {
                "group": name,
                "portraits": len(members),
                "found": len(labels) / len(members),
                "unknown": 1 - len(right) / max(1, len(labels)),
                **_share("right", right),
            }
        )
    return rows


def _by_number(name: str) -> tuple[int, str]:
    first = name.removesuffix("+").split("-")[0]
    return (int(first) if first.isdigit() else 0, name)


def _ages(answers: list[Answer]) -> list[Row]:
    """How far the estimate lies from the middle of the band and, 0 inside it, from its nearer edge."""
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in (*labelled.BANDS, "all")}
    for portrait, faces in answers:
        low, high = labelled.BANDS[portrait.age]
        for years in [] if faces is None else _years(faces):
            error = abs(years - (low + high) / 2), max(low - years, years - high, 0.0)
            errors[portrait.age].append(error)
            errors["all"].append(error)
    means = {name: np.mean(each, axis=0).tolist() for name, each in errors.items() if each}
    return [
        {"band": name, "n": len(errors[name]), "years from its middle": middle, "years outside it": outside}
        for name, (middle, outside) in means.items()
    ]


def _genders(faces: Faces) -> tuple[str, ...]:
    answer = faces.attributes["gender"]
    assert isinstance(answer, Labels)
    return answer.labels


def _years(faces: Faces) -> list[float]:
    answer = faces.attributes["age"]
    assert isinstance(answer, Estimates)
    return [float(years) for years in answer.years if not np.isnan(years)]


def _share(name: str, hits: Iterable[bool]) -> Row:
    """The share of hits, and half the width of its 95 % interval (Wilson)."""
    values = list(hits)
    n = len(values)
    if not n:
        return {"n": 0, name: None, "+-": None}
    share = sum(values) / n
    half = Z_OF_95_PERCENT * float(np.sqrt(share * (1 - share) / n + Z_OF_95_PERCENT**2 / (4 * n * n)))
    return {"n": n, name: share, "+-": half / (1 + Z_OF_95_PERCENT**2 / n)}


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="labelled data")
    parser.add_argument("--limit", type=int, help="at most so many pictures and frames of each kind")
    parser.add_argument("--engine", default="auto", help="see facestream worker --help")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "out" / "accuracy.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
