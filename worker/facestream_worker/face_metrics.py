"""What workers find, as figures in which a change of camera, light, model or crowd shows."""

from __future__ import annotations

from collections import Counter as Tally

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from facestream_models import Faces
from facestream_models.faces import UNKNOWN, Attribute, Labels

SCORE_BUCKETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SIDE_BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
ESTIMATED = "estimated"


class FaceMetrics:
    """Counts faces by what is said of them: how many, how large, how sure."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._found = Counter(prefix + "faces_found", "Faces found", registry=registry)
        self._faces = Counter(
            prefix + "faces",
            "Faces by attribute and label; `unknown` where the face is too small or the answer too "
            "uncertain, `estimated` where the answer is a number, as with age",
            ["attribute", "label"],
            registry=registry,
        )
        self._face_score = Histogram(
            prefix + "face_score",
            "Score of a face as the detector gave it, 0 to 1",
            buckets=SCORE_BUCKETS,
            registry=registry,
        )
        self._attribute_score = Histogram(
            prefix + "attribute_score",
            "Score of an answer, 0 to 1, those that became `unknown` included",
            ["attribute"],
            buckets=SCORE_BUCKETS,
            registry=registry,
        )
        self._side = Histogram(
            prefix + "face_side_pixels",
            "Pixels of a face's shorter side in the frame as analysed",
            buckets=SIDE_BUCKETS,
            registry=registry,
        )

    def count(self, faces: Faces) -> None:
        self._found.inc(len(faces))
        for score, side in zip(faces.scores.tolist(), faces.boxes[:, 2:].min(axis=1).tolist(), strict=True):
            self._face_score.observe(score)
            self._side.observe(side)
        for role, answer in faces.attributes.items():
            for label, count in Tally(_labels(answer)).items():
                self._faces.labels(role, label).inc(count)
            scores = self._attribute_score.labels(role)
            for score in answer.scores.tolist():
                scores.observe(score)


def _labels(answer: Attribute) -> list[str]:
    if isinstance(answer, Labels):
        return list(answer.labels)
    return [UNKNOWN if unsaid else ESTIMATED for unsaid in np.isnan(answer.years).tolist()]
