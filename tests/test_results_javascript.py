"""The example in JavaScript reads what we publish: with Node and npm, where they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from facestream.bus.connection import Connection
from support import bus
from support.processes import started
from support.results import Studio
from support.servers import running

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs/examples/results.mjs"
PACKAGES = ("ioredis", "@msgpack/msgpack")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example beside what it imports; skips where Node, npm or the packages cannot be had."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("no Node.js and npm here")
    folder = tmp_path_factory.mktemp("javascript")
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--loglevel=error")
    try:
        subprocess.run(
            [npm, "install", *options, *PACKAGES], cwd=folder, check=True, capture_output=True, timeout=60
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"npm cannot install {' and '.join(PACKAGES)} here")
    shutil.copy(EXAMPLE, folder)
    return folder / EXAMPLE.name


def test_it_is_short() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= 110


def test_it_reads_as_one_of_a_group(example: Path) -> None:
    with running("valkey", tcp=True) as server:
        connection = Connection(server.url())
        stream = connection.keys.results(0)
        connection.read("XGROUP CREATE", stream, "signage", "0", "MKSTREAM")
        golden = (ROOT / "tests/golden/result.v1.msgpack").read_bytes()
        connection.read("XADD", stream, "*", "added-later", "x", "r", golden)
        connection.read("XADD", stream, "*", "unknown", "x")
        studio = Studio(connection)
        studio.shoot("lobby", 2)
        # What it had in hand when it was killed, and has lost since: one is trimmed, one is there.
        connection.read("XREADGROUP", "GROUP", "signage", "till-1", "COUNT", 3, "STREAMS", stream, ">")
        url = f"redis://127.0.0.1:{server.port}/0"
        with started(url, "signage", "till-1", program=("node", str(example))) as reader:
            bus.wait_until(lambda: len(reader.out.splitlines()) == 3 or bool(reader.err), "it has caught up")
            studio.shoot("lobby")
            bus.wait_until(lambda: len(reader.out.splitlines()) == 4 or bool(reader.err), "it follows")
            assert reader.err == ""
            lines = reader.out.splitlines()
            bus.wait_until(
                lambda: connection.read("XINFO GROUPS", stream)[0]["pending"] == 0, "all are acknowledged"
            )
        assert lines[1:] == ["lobby 0 female", "lobby 1 female", "lobby 2 female"]
        connection.close()
