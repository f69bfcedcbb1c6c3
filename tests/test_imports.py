"""What is loaded when: the contract is light, help is quick, and nothing happens at import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "cv2",
    "numpy",
    "onnxruntime",
    "onnx",
    "av",
    "simplejpeg",
    "prometheus_client",
    "pydantic",
    "redis",
    "rich.live",
)

PROBE = """
import json, sys
{statement}
print()
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


def loaded_by(statement: str, folder: Path) -> list[str]:
    """Which heavy packages are in memory after the statement, in a fresh interpreter."""
    probe = PROBE.format(statement=statement, heavy=HEAVY)
    shown = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert shown.stderr == ""
    assert not list(folder.iterdir())
    loaded: list[str] = json.loads(shown.stdout.splitlines()[-1])
    return loaded


@pytest.mark.parametrize(
    "module", ["contract", "errors", "names", "redaction", "ordering", "signals", "supervisor", "broker"]
)
def test_the_shared_package_is_light(module: str, tmp_path: Path) -> None:
    assert loaded_by(f"import facestream.{module}", tmp_path) == []


def test_the_bus_needs_the_driver_and_no_more(tmp_path: Path) -> None:
    modules = "connection, taker, publisher, tail, ledger"
    assert loaded_by(f"from facestream.bus import {modules}", tmp_path) == ["redis"]


def test_the_client_needs_the_driver_and_no_more(tmp_path: Path) -> None:
    assert loaded_by("import facestream", tmp_path) == []
    everything = "from facestream import AsyncResultReader, Result, ResultReader, ResultsMissed"
    assert loaded_by(everything, tmp_path) == ["redis"]


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    help_of_all = "from facestream.commands.app import build_app, run; status = run(build_app(), ['--help'])"
    loaded = set(loaded_by(help_of_all, tmp_path))
    assert not loaded & {"cv2", "numpy", "onnxruntime", "onnx", "av", "simplejpeg", "redis", "pydantic"}


def test_the_models_load_no_broker_and_no_video(tmp_path: Path) -> None:
    loaded = set(loaded_by("import facestream_models; facestream_models.Analyser", tmp_path))
    assert not loaded & {"redis", "av", "prometheus_client", "pydantic", "onnx"}
