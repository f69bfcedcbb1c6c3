"""Nothing that is analysed, and nothing about this machine, is told to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.engines import require_here

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


# What reaches for the network, or starts a process that might.
WATCHED = """
import sys
seen = []
reaching = ("socket.", "subprocess.", "os.fork", "os.posix_spawn", "os.exec", "http.", "urllib.")
sys.addaudithook(lambda event, details: seen.append(event) if event.startswith(reaching) else None)
"""


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_analysing_reaches_for_no_network(engine: str) -> None:
    """OpenVINO, imported as it is, starts a process that reports to its makers."""
    require_here(engine)
    analyse = ANALYSE.replace("Analyser()", f"Analyser(engine={engine!r})")
    process = subprocess.run(
        [sys.executable, "-c", f"{WATCHED}{analyse}print(seen)"], capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n"
