"""Opens a network with one of the inference libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

from facestream.errors import ModelError, UsageError
from facestream_models.session import Session, first_line

__all__ = ["AUTO", "ENGINES", "Engine", "Session", "open_session"]

Engine = Literal["openvino-bf16", "openvino", "onnxruntime", "opencv", "cuda"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
AUTO = "auto"

Opener = Callable[[Path, tuple[str, ...], bool], Session]

# Where each is opened; imported when wanted, since each library takes its time and its memory.
_OPENERS: Mapping[str, tuple[str, str]] = {
    "openvino-bf16": ("openvino_session", "OpenVinoBf16Session"),
    "openvino": ("openvino_session", "OpenVinoSession"),
    "onnxruntime": ("onnxruntime_session", "OnnxRuntimeSession"),
    "opencv": ("opencv_session", "OpenCvSession"),
    "cuda": ("onnxruntime_session", "CudaSession"),
}


def open_session(
    path: Path, engine: str = "onnxruntime", outputs: Sequence[str] = (), *, prefer_nhwc: bool = False
) -> Session:
    """Load the ONNX file `path`; `outputs` are the names wanted, by default the network's first alone.

    prefer_nhwc: where the engine can, take pictures of a NCHW network as rows of pixels; `layout` of the
    session tells. Raises ModelError where the file is no network this engine can run, or lacks one of the
    outputs; UsageError where there is no such engine.
    """
    require_engine(engine)
    if not path.is_file():
        raise ModelError(f"there is no model file {path}: run `facestream models pull`")
    opener = _opener(engine)
    try:
        return opener(path, tuple(outputs), prefer_nhwc)
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(_not_installed(engine, error)) from None
    except Exception as error:  # each library has its own error types, some of them plain RuntimeError
        raise ModelError(f"{path.name} is no network {engine} can run: {first_line(error)}") from None


def require_engine(engine: str) -> None:
    if engine not in _OPENERS:
        raise UsageError(f"no engine is called {engine!r}: choose {AUTO}, {' or '.join(ENGINES)}")


def _opener(engine: str) -> Opener:
    module, name = _OPENERS[engine]
    opener: Opener = getattr(import_module(f"facestream_models.{module}"), name)
    return opener


def _not_installed(engine: str, error: ImportError) -> str:
    extra = "facestream[all,openvino]" if engine.startswith("openvino") else "facestream[all]"
    return f"the engine {engine} does not load ({first_line(error)}): pip install '{extra}'"
