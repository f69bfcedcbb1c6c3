"""OpenCV's own networks module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import cv2
import numpy as np

from facestream_models.faces import Floats
from facestream_models.model import Layout
from facestream_models.session import fixed_size, only_input, refused, wanted_outputs

Anything = TypeVar("Anything")


class OpenCvSession:
    """OpenCV's own DNN module, for where ONNX Runtime has no build."""

    best_batch = 1
    layout: Layout = "NCHW"

    def __init__(self, path: Path, outputs: tuple[str, ...], _prefer_nhwc: bool = False) -> None:
        shape, there = _graph_of(path)
        self._name = path.name
        self.fixed_batch = fixed_size(shape[:1])
        self._outputs = wanted_outputs(self._name, outputs, there)
        self._net = _quietly(lambda: cv2.dnn.readNetFromONNX(str(path)))

    def run(self, batch: Floats) -> list[Floats]:
        try:
            return cast("list[Floats]", _quietly(lambda: self._forward(batch)))
        except cv2.error as error:
            raise refused(self._name, batch, error) from None

    def _forward(self, batch: Floats) -> list[Any]:
        self._net.setInput(batch)
        # OpenCV 5 hands out its own memory, which the next run overwrites.
        return [np.array(found) for found in self._net.forward(self._outputs)]


def _graph_of(path: Path) -> tuple[list[Any], list[str]]:
    """The shape of the network's input and the names of its outputs, which OpenCV does not tell."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    if not graph.node:
        raise ValueError("there is no graph in it")
    constants = {constant.name for constant in graph.initializer}
    found = only_input(path.name, [entry for entry in graph.input if entry.name not in constants])
    shape = [size.dim_value or None for size in found.type.tensor_type.shape.dim]
    return shape, [output.name for output in graph.output]


def _quietly(call: Callable[[], Anything]) -> Anything:
    """OpenCV prints its errors as well as raising them."""
    before = _set_log_level(0)
    try:
        return call()
    finally:
        _set_log_level(before)


def _set_log_level(level: int) -> int:
    """Returns the level there was; OpenCV 5 moved the function to `cv2.utils.logging`."""
    home = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
    return int(home.setLogLevel(level))
