"""What carrying a result costs a sink: files, a webhook on this machine, MQTT.

    python -m bench.sinks                    20,000 results with four faces each
    python -m bench.sinks --results 100000

Processor time of the whole `facestream sink` process, from its first delivery to its last, of results that
wait in the broker: it takes them as fast as it can, in full batches. The sinks take turns; the median counts.
MQTT is left out where there is no mosquitto.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import msgpack
import psutil

from bench.bench import Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.errors import FacestreamError
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report

BROKER_BYTES = 1 << 30
PATIENCE_SECONDS = 120.0
# A look costs the sink some milliseconds of its own.
LOOK_SECONDS = 0.3
A_THOUSAND = 1000
FACE: dict[str, Any] = {
    "box": [10.0, 20.0, 30.0, 40.0],
    "score": 0.9,
    "landmarks": [[12.0, 30.0], [30.0, 30.0], [21.0, 40.0], [14.0, 50.0], [28.0, 50.0]],
    "attributes": {"gender": {"label": "female", "score": 0.97}},
}


@dataclass(frozen=True, slots=True)
class Carried:
    """cpu_us: processor time a result. rate: results a second of wall time."""

    cpu_us: float
    rate: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=positive, default=20_000, help="how many wait in the broker")
    parser.add_argument("--repeat", type=positive, default=3, help="rounds, in which the sinks take turns")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {"results": options.results, "faces": 4, "repeat": options.repeat}
    report = Report("sinks", "What carrying a result costs a sink", command, settings)
    with EmbeddedBroker(BROKER_BYTES) as broker, tempfile.TemporaryDirectory() as folder:
        fill(broker.url, options.results)
        with receivers(Path(folder)) as sinks:
            rounds = [
                {kind: carry(broker.url, arguments, options.results) for kind, arguments in sinks.items()}
                for _ in range(options.repeat)
            ]
    found = {kind: [each[kind] for each in rounds] for kind in rounds[0]}
    report.figures = [
        Figure(
            f"{kind}_core_at_1000",
            f"{kind}: of one core at 1,000 results/s",
            median(each.cpu_us for each in carried) * A_THOUSAND / 1e4,
            "%",
        )
        for kind, carried in found.items()
    ]
    rows = [
        [kind, median(each.cpu_us for each in carried), median(each.rate for each in carried)]
        for kind, carried in found.items()
    ]
    columns = ["sink", "processor us a result", "results/s"]
    report.grids = [Grid("sinks", "Of results that wait", columns, rows, digits=0)]
    return report


def fill(url: str, count: int) -> None:
    """Results as workers publish them, numbered as they number them."""
    connection = Connection(url)
    stream = connection.keys.results(0)
    result: dict[str, Any] = {
        "v": 1,
        "camera": "lobby",
        "source": "lobby",
        "epoch": 1,
        "pts_us": 0,
        "captured_at_us": 0,
        "clock": "receipt",
        "completed_at_us": 0,
        "width": 1280,
        "height": 720,
        "source_width": 1280,
        "source_height": 720,
        "region": [0, 0, 1280, 720],
        "faces": [FACE] * 4,
        "models": {"detector": "yunet-2023mar@8f2383e4", "gender": "dlib-gender-v1@d4c4116c"},
        "timings_ms": {"decode": 1.0, "detect": 6.0, "classify": 2.0},
        "worker": "bench",
    }
    for seq in range(count):
        packed = msgpack.packb(result | {"seq": seq})
        connection.read("XADD", stream, f"{1_800_000_000_000 + seq}-{seq + 1}", "r", packed)
    connection.close()


def carry(url: str, arguments: Sequence[str], count: int) -> Carried:
    """Run a sink, with a place of its own, until it has carried everything."""
    port = free_port()
    group = f"bench-{time.time_ns()}"
    words = ["sink", *arguments, "--group", group, "--start", "earliest", "--metrics-port", str(port)]
    environment = os.environ | {"FACESTREAM_REDIS": url, "FACESTREAM_SINK_SECRET": "x" * 32}
    process = subprocess.Popen(
        [sys.executable, "-m", "facestream", *words], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        started = first = used(process, port)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := used(process, port))[0] < count:
            if process.poll() is not None or time.monotonic() > deadline:
                raise FacestreamError(f"facestream sink {arguments[0]} did not carry its results")
            first = now if first[0] == started[0] == 0 else first
            time.sleep(LOOK_SECONDS)
    finally:
        process.terminate()
        process.wait()
    results = max(1.0, now[0] - first[0])
    return Carried((now[1] - first[1]) / results * 1e6, results / max(1e-9, now[2] - first[2]))


def used(process: subprocess.Popen[bytes], port: int) -> tuple[float, float, float]:
    """Results carried so far, processor seconds used, and when that was."""
    sent = 0.0
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        for line in page.read().decode().splitlines():
            if line.startswith("facestream_sink_sent_total"):
                sent = float(line.split()[1])
    times = psutil.Process(process.pid).cpu_times()
    return sent, times.user + times.system, time.monotonic()


@contextmanager
def receivers(folder: Path) -> Iterator[dict[str, list[str]]]:
    """The arguments of each sink, while its receiver is there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sinks = {"jsonl": ["jsonl", str(folder / "out")]}
    sinks["webhook"] = ["webhook", f"http://127.0.0.1:{server.server_port}/"]
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    mosquitto, port = None, free_port()
    if program:
        mosquitto = subprocess.Popen([program, "-p", str(port)], stderr=subprocess.DEVNULL)
        sinks["mqtt"] = ["mqtt", f"mqtt://127.0.0.1:{port}"]
    try:
        yield sinks
    finally:
        server.shutdown()
        server.server_close()
        if mosquitto is not None:
            mosquitto.kill()
            mosquitto.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


class _Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


BENCH = Bench("sinks", __doc__ or "", add_options, measure, short=("--results", "10000"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
