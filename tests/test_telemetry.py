"""Nothing that is analysed, and nothing about this machine, is told to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# ONNX Runtime keeps its device id and what it has yet to send in the user's cache.
ANALYSE = """
import numpy, facestream_models
facestream_models.Analyser()(numpy.zeros((64, 64, 3), numpy.uint8))
"""


def test_analysing_leaves_no_trace_of_telemetry(tmp_path: Path) -> None:
    from facestream_models.store import WeightsStore

    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["FACESTREAM_WEIGHTS"] = str(WeightsStore().folder)
    subprocess.run([sys.executable, "-c", ANALYSE], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
