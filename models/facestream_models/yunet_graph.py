"""Frees YuNet from its one picture size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facestream.errors import WeightsCorrupt

if TYPE_CHECKING:
    from onnx import GraphProto

# In a Reshape's shape: keep the input's own size there (ONNX operator Reshape, allowzero = 0).
COPY_FROM_INPUT = 0


def any_size(onnx_bytes: bytes) -> bytes:
    """The same network for any batch and any picture whose sides are multiples of 32.

    The published file promises 1x3x640x640 and reshapes its outputs to a batch of one; the numbers it
    computes do not change. Input: `input` (batch, 3, height, width). Outputs for each stride s of 8, 16
    and 32: `cls_s` and `obj_s` (batch, n, 1), `bbox_s` (batch, n, 4), `kps_s` (batch, n, 10), with
    n = (height/s)·(width/s) cells, row by row. The same bytes in give the same bytes out.
    Raises WeightsCorrupt where the network is not YuNet.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(onnx_bytes)
        _free_the_input(model.graph)
        _free_the_batch(model.graph)
        _free_the_outputs(model.graph)
    except Exception as error:  # the library's own errors are of many types, protobuf's among them
        raise WeightsCorrupt(f"these weights are no YuNet, it cannot be freed of its size: {error}") from None
    # Shapes of inner tensors, computed for 640x640: stale now, and derived anew by every engine.
    del model.graph.value_info[:]
    return bytes(model.SerializeToString(deterministic=True))


def _free_the_input(graph: GraphProto) -> None:
    batch, _channels, height, width = graph.input[0].type.tensor_type.shape.dim
    batch.dim_param, height.dim_param, width.dim_param = "batch", "height", "width"


def _free_the_batch(graph: GraphProto) -> None:
    from onnx import numpy_helper

    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for constant in graph.initializer:
        if constant.name in shapes:
            shape = numpy_helper.to_array(constant).copy()
            shape[0] = COPY_FROM_INPUT
            constant.CopyFrom(numpy_helper.from_array(shape, constant.name))


def _free_the_outputs(graph: GraphProto) -> None:
    for output in graph.output:
        batch, cells, _values = output.type.tensor_type.shape.dim
        batch.dim_param, cells.dim_param = "batch", f"cells_{output.name.rpartition('_')[2]}"
