"""The loop that speed is measured against: how the networks are usually run, without care for time.

OpenCV decodes the JPEG, ONNX Runtime runs the published networks in float32 on one thread, pictures become
blobs, each face is aligned by OpenCV's robust estimate and classified with the others of its frame.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from facestream_models.alignment import TEMPLATE
from facestream_models.catalogue import load_catalogue
from facestream_models.stages import Stages
from facestream_models.store import WeightsStore

Floats = NDArray[np.float32]

STRIDES = (8, 16, 32)
MIN_SCORE, OVERLAP = 0.6, 0.3
CHIP_PX, PADDING = 32, 0.2
MEAN = np.array([122.782, 117.001, 104.298], np.float32)


@dataclass(frozen=True, slots=True)
class ReferenceRound:
    """One pass over the frames; `right` labels agree with the half of the picture: women left, men right."""

    frames: int
    seconds: float
    cpu_seconds: float
    stages: Stages
    faces: int
    right: int

    @property
    def fps(self) -> float:
        return self.frames / self.seconds


class ReferenceLoop:
    """Detector at `side` pixels and apparent gender, one frame after the other."""

    def __init__(self, side: int) -> None:
        store, catalogue = WeightsStore(), load_catalogue()
        network = onnx.load(store.path(catalogue.for_role("detector")))
        self._detector = _session(_any_size(network).SerializeToString())
        self._gender = _session(store.path(catalogue.for_role("gender")).read_bytes())
        self._names = [output.name for output in self._detector.get_outputs()]
        self._side = side

    def run(self, jpegs: Sequence[bytes]) -> ReferenceRound:
        stages, faces, right = Stages(), 0, 0
        began, began_cpu = time.perf_counter(), time.process_time()
        for jpeg in jpegs:
            with stages.measure("decode"):
                image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            with stages.measure("detect"):
                boxes, points = self._detect(image)
            if not len(boxes):
                continue
            with stages.measure("align"):
                chips = _chips(image, points)
            with stages.measure("classify"):
                answers = self._gender.run(None, {"images": chips})[0]
            faces += len(boxes)
            on_the_right = boxes[:, [0, 2]].mean(axis=1) > image.shape[1] / 2
            right += int((on_the_right == (answers[:, 1] > answers[:, 0])).sum())
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
        return ReferenceRound(len(jpegs), seconds, cpu_seconds, stages, faces, right)

    def _detect(self, image: Any) -> tuple[Floats, Floats]:
        """Corners (n, 4) and landmarks (n, 5, 2), in pixels of the picture."""
        ratio = self._side / max(image.shape[:2])
        scaled = cv2.resize(image, None, fx=ratio, fy=ratio) if ratio != 1 else image
        height, width = scaled.shape[:2]
        padded = cv2.copyMakeBorder(scaled, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT)
        answers = self._detector.run(None, {"input": cv2.dnn.blobFromImage(padded)})
        outputs = dict(zip(self._names, answers, strict=True))
        levels = [_level(outputs, stride, padded.shape[1]) for stride in STRIDES]
        corners, scores, points = (np.concatenate(values) for values in zip(*levels, strict=True))
        rectangles = [[float(a), float(b), float(c - a), float(d - b)] for a, b, c, d in corners]
        kept = np.asarray(cv2.dnn.NMSBoxes(rectangles, scores.tolist(), 0.0, OVERLAP), int).reshape(-1)
        return corners[kept] / ratio, points[kept] / ratio


def _level(outputs: dict[str, Floats], stride: int, width: int) -> tuple[Floats, Floats, Floats]:
    classes, objects = (np.clip(outputs[f"{name}_{stride}"], 0, 1) for name in ("cls", "obj"))
    scores = np.sqrt(classes * objects).reshape(-1)
    cells = np.flatnonzero(scores > MIN_SCORE)
    columns = width // stride
    grid = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    boxes = outputs[f"bbox_{stride}"][0][cells]
    points = outputs[f"kps_{stride}"][0][cells].reshape(-1, 5, 2)
    middles, sizes = (grid + boxes[:, :2]) * stride, np.exp(boxes[:, 2:]) * stride
    corners = np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)
    return corners, scores[cells], (grid[:, None] + points) * stride


def _chips(image: Any, points: Floats) -> Floats:
    target = ((TEMPLATE + PADDING) / (1 + 2 * PADDING) * CHIP_PX).astype(np.float32)
    chips = np.empty((len(points), 3, CHIP_PX, CHIP_PX), np.float32)
    for number, face in enumerate(points):
        transform, _ = cv2.estimateAffinePartial2D(face, target, method=cv2.LMEDS)
        chip = cv2.warpAffine(image, transform, (CHIP_PX, CHIP_PX), flags=cv2.INTER_AREA)
        chips[number] = ((chip[:, :, ::-1].astype(np.float32) - MEAN) / 256).transpose(2, 0, 1)
    return chips


def _session(network: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _any_size(network: Any) -> Any:
    """The published network with its fixed sizes taken out, and nothing else changed."""
    constants = {each.name: numpy_helper.to_array(each) for each in network.graph.initializer}
    for node in network.graph.node:
        if node.op_type == "Reshape":
            shape = constants[node.input[1]]
            name = f"shape_{node.output[0]}"
            free = np.array([shape[0], -1, shape[-1]], np.int64)
            network.graph.initializer.append(numpy_helper.from_array(free, name))
            node.input[1] = name
    dims = network.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_param, dims[3].dim_param = "height", "width"
    for output in network.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name}"
    del network.graph.value_info[:]
    return network
