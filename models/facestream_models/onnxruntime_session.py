"""ONNX Runtime: on one thread of the processor, or on an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from facestream.errors import ModelError
from facestream_models.faces import Floats
from facestream_models.model import Layout
from facestream_models.session import fixed_size, only_input, refused, wanted_outputs

# ONNX Runtime: 0 verbose … 4 fatal. Its warnings on these files (unused constants) are no news to a user.
ONLY_FATAL = 4
CUDA = "CUDAExecutionProvider"
# A GPU is kept busy by many pictures at once; a core works on one at a time, in its cache.
CUDA_BATCH = 64


class OnnxRuntimeSession:
    """A network on one thread of the processor."""

    provider = "CPUExecutionProvider"
    best_batch = 1
    layout: Layout = "NCHW"

    def __init__(self, path: Path, outputs: tuple[str, ...], _prefer_nhwc: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = ONLY_FATAL
        self._require(onnxruntime.get_available_providers())
        self._session = onnxruntime.InferenceSession(path, options, providers=[self.provider])
        # One that does not start is left out in silence, and the processor does its work.
        self._require(self._session.get_providers())
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = ONLY_FATAL
        self._name = path.name
        network_input = only_input(self._name, self._session.get_inputs())
        self._input: str = network_input.name
        self.fixed_batch = fixed_size(network_input.shape[:1])
        there = [output.name for output in self._session.get_outputs()]
        self._outputs = wanted_outputs(self._name, outputs, there)

    def run(self, batch: Floats) -> list[Floats]:
        try:
            found = self._session.run(self._outputs, {self._input: batch}, self._run_options)
        except Exception as error:
            raise refused(self._name, batch, error) from None
        return cast("list[Floats]", found)

    def _require(self, providers: list[Any]) -> None:
        if self.provider not in providers:
            raise ModelError(
                f"ONNX Runtime has no {self.provider} here: install onnxruntime-gpu in the place of "
                "onnxruntime, with CUDA and cuDNN of the versions it asks for, or choose another --engine"
            )


class CudaSession(OnnxRuntimeSession):
    """A network on an NVIDIA GPU: many pictures of one size, from many cameras, in a run."""

    provider = CUDA
    best_batch = CUDA_BATCH
