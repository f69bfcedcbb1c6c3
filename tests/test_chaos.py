"""Ten seconds of chaos with real frames: `make test-faults` runs two minutes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.portraits import weights

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("worker killed", "producer killed", "worker stopped", "broker restarted", "network cut")


@pytest.mark.timeout(400)
def test_ten_seconds_of_chaos_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    weights()
    out = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "bench.chaos", "--seconds", "10", "--every", "0.9", "--out", str(out)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["lost"] == report["double"] == report["unaccounted"] == 0
    assert report["captured"] == report["frames"] > 0
    assert report["results"] + report["dropped_frames"] == report["captured"]
    injected = {fault["fault"] for fault in report["injected"]}
    assert injected.issuperset(KINDS)
