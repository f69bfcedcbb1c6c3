"""Runs a network: one small interface over the inference libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

import cv2
import numpy as np

from facestream.errors import ModelError, UsageError
from facestream_models.faces import Floats

Engine = Literal["onnxruntime", "opencv"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

Anything = TypeVar("Anything")

# ONNX Runtime: 0 verbose … 4 fatal. Its warnings on these files (unused constants) are no news to a user.
ONLY_FATAL = 4


class Session(Protocol):
    """A network ready to run on one thread; not to be shared between threads.

    fixed_batch: how many inputs each run must hold; None where any number will do.
    """

    @property
    def fixed_batch(self) -> int | None: ...

    def run(self, batch: Floats) -> list[Floats]:
        """The outputs asked for at opening, in that order; ModelError if the network refuses the batch."""
        ...


def open_session(path: Path, engine: str = "onnxruntime", outputs: Sequence[str] = ()) -> Session:
    """Load the ONNX file `path`; `outputs` are the names wanted, by default the network's first alone.

    Raises ModelError where the file is no network this engine can run, or lacks one of the outputs.
    """
    if engine not in OPENERS:
        raise UsageError(f"no engine is called {engine!r}: choose {' or '.join(ENGINES)}")
    if not path.is_file():
        raise ModelError(f"there is no model file {path}: run `facestream models pull`")
    try:
        return OPENERS[engine](path, tuple(outputs))
    except ModelError:
        raise
    except Exception as error:  # each library has its own error types, some of them plain RuntimeError
        raise ModelError(f"{path.name} is no network {engine} can run: {_reason(error)}") from None


class OnnxRuntimeSession:
    """ONNX Runtime on one thread of the processor."""

    def __init__(self, path: Path, outputs: tuple[str, ...]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = ONLY_FATAL
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = ONLY_FATAL
        self._name = path.name
        network_input = _only_input(self._name, self._session.get_inputs())
        self._input: str = network_input.name
        self.fixed_batch = _fixed(network_input.shape[:1])
        there = [output.name for output in self._session.get_outputs()]
        self._outputs = _wanted(self._name, outputs, there)

    def run(self, batch: Floats) -> list[Floats]:
        try:
            found = self._session.run(self._outputs, {self._input: batch}, self._run_options)
        except Exception as error:
            raise _refused(self._name, batch, error) from None
        return cast("list[Floats]", found)


class OpenCvSession:
    """OpenCV's own DNN module, for where ONNX Runtime has no build."""

    def __init__(self, path: Path, outputs: tuple[str, ...]) -> None:
        shape, there = _graph_of(path)
        self._name = path.name
        self.fixed_batch = _fixed(shape[:1])
        self._outputs = _wanted(self._name, outputs, there)
        self._net = _quietly(lambda: cv2.dnn.readNetFromONNX(str(path)))

    def run(self, batch: Floats) -> list[Floats]:
        try:
            return cast("list[Floats]", _quietly(lambda: self._forward(batch)))
        except cv2.error as error:
            raise _refused(self._name, batch, error) from None

    def _forward(self, batch: Floats) -> list[Any]:
        self._net.setInput(batch)
        # OpenCV 5 hands out its own memory, which the next run overwrites.
        return [np.array(found) for found in self._net.forward(self._outputs)]


OPENERS: Mapping[str, Callable[[Path, tuple[str, ...]], Session]] = {
    "onnxruntime": OnnxRuntimeSession,
    "opencv": OpenCvSession,
}


def _graph_of(path: Path) -> tuple[list[Any], list[str]]:
    """The shape of the network's input and the names of its outputs, which OpenCV does not tell."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    if not graph.node:
        raise ValueError("there is no graph in it")
    constants = {constant.name for constant in graph.initializer}
    found = _only_input(path.name, [entry for entry in graph.input if entry.name not in constants])
    shape = [size.dim_value or None for size in found.type.tensor_type.shape.dim]
    return shape, [output.name for output in graph.output]


def _only_input(name: str, inputs: Sequence[Any]) -> Any:
    if len(inputs) != 1:
        raise ModelError(f"{name} takes {len(inputs)} inputs: only networks of one input will do")
    return inputs[0]


def _wanted(name: str, wanted: tuple[str, ...], there: list[str]) -> list[str]:
    missing = [output for output in wanted if output not in there]
    if missing or not there:
        lacking = ", ".join(missing) or "at all"
        raise ModelError(f"{name} has no output {lacking}, only {', '.join(there)}: is it the right network?")
    return list(wanted) or there[:1]


def _fixed(first: Sequence[Any]) -> int | None:
    """The batch a shape insists on; names and -1 stand for any."""
    return first[0] if first and isinstance(first[0], int) and first[0] > 0 else None


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


def _refused(name: str, batch: Floats, error: Exception) -> ModelError:
    return ModelError(f"{name} refused an input of shape {batch.shape} ({batch.dtype}): {_reason(error)}")


def _reason(error: Exception) -> str:
    """The first line of a library's message, short enough to read."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
