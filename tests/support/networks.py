"""Small ONNX networks, made on the spot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Size = int | str


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[Size]],
    outputs: dict[str, Sequence[Size]],
    **constants: np.ndarray,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "made for a test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def tint_network(
    path: Path, *, batch: Size = "n", layout: str = "NCHW", width: int = 24, height: int = 16
) -> Path:
    """A classifier that answers with the means of the three channels, (n, 3)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["planes" if layout == "NHWC" else "chips"], ["means"]),
        helper.make_node("Flatten", ["means"], ["answer"]),
    ]
    shape: list[Size] = [batch, 3, height, width]
    if layout == "NHWC":
        shape = [batch, height, width, 3]
        nodes.insert(0, helper.make_node("Transpose", ["chips"], ["planes"], perm=[0, 3, 1, 2]))
    return save(path, nodes, {"chips": shape}, {"answer": [batch, 3]})


def sum_network(path: Path) -> Path:
    """A network of two inputs."""
    node = helper.make_node("Add", ["left", "right"], ["sum"])
    return save(path, [node], {"left": ["n", 3], "right": ["n", 3]}, {"sum": ["n", 3]})


def constant_network(path: Path, answer: Sequence[float], side: int = 8) -> Path:
    """A classifier that answers every chip alike."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["chips"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "nothing", "answer_of_all"], ["answer"]),
    ]
    values = np.array(answer, np.float32)
    nothing = np.zeros((3, len(values)), np.float32)
    return save(
        path,
        nodes,
        {"chips": ["n", 3, side, side]},
        {"answer": ["n", len(values)]},
        nothing=nothing,
        answer_of_all=values,
    )


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
