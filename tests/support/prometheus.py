"""A real Prometheus with the rules of deploy/prometheus, looking every second at what a test names."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.bus import wait_until
from support.ports import free_port

DEPLOY = Path(__file__).parent.parent.parent / "deploy/prometheus"


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Its series now."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(address, timeout=30) as reply:  # noqa: S310 (our own address)
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])


@contextmanager
def prometheus(folder: Path, jobs: Mapping[str, Sequence[str] | Path]) -> Iterator[Prometheus]:
    """jobs: by name, addresses, or the file that names them."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no Prometheus here (Debian: apt install prometheus)")
    scraped = [
        {"job_name": name, "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}
        if isinstance(targets, Path)
        else {"job_name": name, "static_configs": [{"targets": list(targets)}]}
        for name, targets in jobs.items()
    ]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(DEPLOY / "recording.yml"), str(DEPLOY / "alerts.yml")],
        "scrape_configs": scraped,
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={address}"]
    command.append(f"--storage.tsdb.path={folder / 'data'}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: _is_ready(f"http://{address}/-/ready"), "Prometheus is ready")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait()


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:  # noqa: S310 (our own address)
            return bool(reply.status == 200)
    except OSError:
        return False
