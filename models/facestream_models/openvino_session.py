"""OpenVINO on one thread of the processor, in float32 or, where the processor has it, bfloat16."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from facestream.errors import ModelError
from facestream_models.faces import Floats
from facestream_models.model import Layout
from facestream_models.openvino_library import load_openvino
from facestream_models.session import only_input, refused, wanted_outputs

# A network compiled for one size runs 15 % faster than one for any size, and takes about 200 ms to compile:
# worth it for a size that keeps coming. Counts and networks are bounded, sizes are what cameras send.
WORTH_COMPILING = 300
MOST_COMPILED = 4
MOST_COUNTED = 1000
# Kernels kept for sizes seen before; the library's own default of 5,000 lets memory grow by 3 MB a size.
KERNELS_KEPT = 256


class OpenVinoSession:
    """A network in float32."""

    best_batch = 1
    precision = "f32"

    def __init__(self, path: Path, outputs: tuple[str, ...], prefer_nhwc: bool = False) -> None:
        self._name = path.name
        self._model = _read_onnx(path)
        found = only_input(self._name, self._model.inputs)
        batch = found.partial_shape[0]
        self.fixed_batch = batch.get_length() if batch.is_static else None
        there = {name: index for index, port in enumerate(self._model.outputs) for name in port.names}
        wanted = wanted_outputs(self._name, outputs, list(there))
        self._outputs = [there[name] for name in wanted]
        self.layout: Layout = "NHWC" if prefer_nhwc else "NCHW"
        if prefer_nhwc:
            self._model = _taking_nhwc(self._model)
        self._any = self._compiled(self._model)
        self._sized: dict[tuple[int, ...], Any] = {}
        self._seen: Counter[tuple[int, ...]] = Counter()

    def run(self, batch: Floats) -> list[Floats]:
        request = self._request_for(batch.shape)
        try:
            request.set_input_tensor(load_openvino().Tensor(np.ascontiguousarray(batch), shared_memory=True))
            request.infer()
            # Copies: the request's own memory is overwritten by the next run.
            return [np.array(request.get_output_tensor(index).data) for index in self._outputs]
        except RuntimeError as error:
            raise refused(self._name, batch, error) from None

    def _request_for(self, shape: tuple[int, ...]) -> Any:
        """The network compiled for this size, once it has come often; else the one for any size."""
        if shape in self._sized:
            return self._sized[shape]
        if len(self._sized) >= MOST_COMPILED:
            return self._any
        if len(self._seen) > MOST_COUNTED:
            self._seen.clear()
        self._seen[shape] += 1
        if self._seen[shape] < WORTH_COMPILING:
            return self._any
        model = self._model.clone()
        model.reshape(list(shape))
        self._sized[shape] = self._compiled(model)
        return self._sized[shape]

    def _compiled(self, model: Any) -> Any:
        options = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            # Which core a worker runs on is the system's business, or that of whoever starts it.
            "ENABLE_CPU_PINNING": False,
            "CPU_RUNTIME_CACHE_CAPACITY": KERNELS_KEPT,
        }
        return _core().compile_model(model, "CPU", options).create_infer_request()


class OpenVinoBf16Session(OpenVinoSession):
    """A network in bfloat16, for processors that compute in it."""

    precision = "bf16"

    def __init__(self, path: Path, outputs: tuple[str, ...], prefer_nhwc: bool = False) -> None:
        if not computes_bf16():
            raise ModelError("this processor has no bfloat16 instructions: choose another --engine")
        super().__init__(path, outputs, prefer_nhwc)


def computes_bf16() -> bool:
    """Whether OpenVINO is here, and this processor has instructions for bfloat16."""
    try:
        return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, RuntimeError):
        return False


@cache
def _core() -> Any:
    return load_openvino().Core()


def _read_onnx(path: Path) -> Any:
    """As ONNX and nothing else: left to guess, the library tries every format, and prints why each fails."""
    load_openvino()
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    model = reader.convert(reader.load(str(path)))
    if not model.outputs:
        raise ValueError("there is no graph in it")
    return model


def _taking_nhwc(model: Any) -> Any:
    """The same network, fed with rows of pixels: what its first convolution wants, and what a decoder gives.

    Bringing planes into that order first took a fifth of the detector's time.
    """
    from openvino import Layout as OpenVinoLayout
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(OpenVinoLayout("NHWC"))
    steps.input().model().set_layout(OpenVinoLayout("NCHW"))
    return steps.build()
