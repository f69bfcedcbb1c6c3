"""Tests that run on every engine this machine has."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from facestream_models.engine import ENGINES, Session, open_session

every_engine = pytest.mark.parametrize("engine", ENGINES)


def require_here(engine: str) -> None:
    """Skip where the library or the hardware is missing; what is here must work."""
    if engine.startswith("openvino"):
        if find_spec("openvino") is None:
            pytest.skip("OpenVINO is not installed")
        from facestream_models.openvino_session import computes_bf16

        if engine == "openvino-bf16" and not computes_bf16():
            pytest.skip("this processor has no bfloat16")
    if engine == "cuda":
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            pytest.skip("there is no CUDA here")


def opened(path: Path, engine: str, outputs: Sequence[str] = (), *, prefer_nhwc: bool = False) -> Session:
    require_here(engine)
    return open_session(path, engine, outputs, prefer_nhwc=prefer_nhwc)


def tolerance(engine: str) -> float:
    """How far an answer may be off, as a share of it: bfloat16 has eight binary digits."""
    return 1e-2 if engine == "openvino-bf16" else 1e-5
