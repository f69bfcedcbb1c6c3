"""How many faces a worker found and how many labels are right, where the truth of each frame is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facestream.contract import FaceMap, ResultMap
from facestream_bench.frames import DEMO
from facestream_bench.report import Figure, at_least, at_most, within
from facestream_models.faces import UNKNOWN
from facestream_producer.demo import parse_demo

MOSAIC = "mosaic_a.mp4"

# The true gender of a face of a result, None where there is no face in truth.
Truth = Callable[[ResultMap, FaceMap], str | None]


@dataclass(slots=True)
class Labels:
    """Counts over the frames of a clip; `strays` are faces found where there is none."""

    frames: int = 0
    faces: int = 0
    unknown: int = 0
    right: int = 0
    strays: int = 0

    def figures(self, clip: str) -> list[Figure]:
        """With the goals of the clip made for it: two women on the left, two men on the right."""
        labelled = self.faces - self.unknown
        return [
            Figure(
                "faces_a_frame",
                f"{clip}: faces a frame",
                self.faces / max(1, self.frames),
                digits=3,
                goal=within(4.0, 0.05),
            ),
            Figure(
                "right_percent",
                f"{clip}: gender right, of labelled faces",
                100 * self.right / max(1, labelled),
                "%",
                2,
                at_least(99),
            ),
            Figure(
                "unknown_percent",
                f"{clip}: gender unknown",
                100 * self.unknown / max(1, self.faces),
                "%",
                2,
                at_most(2),
            ),
        ]


def truth_of(source: str) -> Truth | None:
    """What is known of a source: the demo scene tells, and the mosaic was made so."""
    if source.startswith(DEMO):
        return _truth_of_demo(source)
    return _by_half if Path(source).name == MOSAIC else None


def count_labels(results: Sequence[ResultMap], truth: Truth) -> Labels:
    labels = Labels(frames=len(results))
    for result in results:
        for face in result["faces"]:
            gender, label = truth(result, face), face["attributes"]["gender"].get("label")
            labels.faces += 1
            labels.strays += gender is None
            labels.unknown += label == UNKNOWN
            labels.right += label == gender
    return labels


def _by_half(result: ResultMap, face: FaceMap) -> str:
    return "female" if _middle(face)[0] < result["width"] / 2 else "male"


def _truth_of_demo(source: str) -> Truth:
    scene = parse_demo(source)

    def gender(result: ResultMap, face: FaceMap) -> str | None:
        scale = result["source_width"] / result["width"]
        x, y = (scale * at for at in _middle(face))
        for (left, top, width, height), true in scene.truth(result["seq"]):
            if left <= x <= left + width and top <= y <= top + height:
                return true
        return None

    return gender


def _middle(face: FaceMap) -> tuple[float, float]:
    x, y, width, height = face["box"]
    return x + width / 2, y + height / 2
