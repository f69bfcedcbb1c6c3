"""What a result costs a whole tracker process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.contract import ResultMap, pack_result

_PATIENCE_SECONDS = 60.0
_CHUNK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Load:
    """cpu_us: of a result, with all that comes with it. core_percent: what that is at the pace measured."""

    results: int
    faces_a_result: float
    cpu_us: float
    core_percent: float
    most_a_second: float
    events: int
    bytes: int


def measure_load(results: Sequence[ResultMap], cameras: int, rate: int, seconds: int) -> Load:
    """Results of many cameras, each sending these again and again, at a pace; then as fast as can be."""
    with EmbeddedBroker() as broker:
        connection = Connection(broker.url)
        with _tracker(broker.url) as process:
            frames = _frames(results, cameras, rate)
            _send(connection, frames, rate, 2)  # it has loaded its modules, and knows the cameras
            _wait_until_read(connection)
            began = _cpu_seconds(process)
            sent = _send(connection, frames, rate, seconds)
            _wait_until_read(connection)
            spent = _cpu_seconds(process) - began
            began = _cpu_seconds(process)
            more = _send(connection, frames, 10**9, seconds / 2, at_most=rate * seconds)
            _wait_until_read(connection)
            catching_up = more / (_cpu_seconds(process) - began)
        keys = connection.keys
        kept = sum(map(len, connection.read("HVALS", keys.tracker(0))))
        events = int(connection.read("XLEN", keys.tracks(0)))
        connection.close()
    faces = sum(len(result["faces"]) for result in results) / len(results)
    return Load(sent, faces, 1e6 * spent / sent, 100 * spent / sent * rate, catching_up, events, kept)


def _frames(results: Sequence[ResultMap], cameras: int, rate: int) -> Iterator[bytes]:
    """Packed results of live cameras in turn, without an end: the clip goes on from its first frame."""
    now_us = int(time.time() * 1e6)
    number = 0
    while True:
        result = results[number // cameras % len(results)]
        fields = dict(result) | {
            "camera": f"bench-{number % cameras}",
            "epoch": 1,
            "seq": number // cameras,
            "clock": "receipt",
            "captured_at_us": now_us + number * 1_000_000 // rate,
        }
        yield pack_result(fields)  # type: ignore[arg-type]
        number += 1


def _send(
    connection: Connection, frames: Iterator[bytes], rate: int, seconds: float, at_most: int = 10**9
) -> int:
    """Publish so many results a second; how many that were."""
    stream, sent, began = connection.keys.results(0), 0, time.monotonic()
    add = "for i = 1, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', 50000, '*', 'r', ARGV[i]) end"
    while (passed := time.monotonic() - began) < seconds and sent < at_most:
        due = min(int(rate * passed) - sent, 500)
        if due > 0:
            connection.read("EVAL", add, 1, stream, *(next(frames) for _ in range(due)))
            sent += due
        if due < 500:
            time.sleep(_CHUNK_SECONDS)
    return sent


@contextmanager
def _tracker(url: str) -> Iterator[psutil.Process]:
    environment = os.environ | {"FACESTREAM_REDIS": url}
    command = [sys.executable, "-m", "facestream", "tracker"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _cpu_seconds(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def _wait_until_read(connection: Connection) -> None:
    """Until what is kept knows of the last result."""
    [(last, _)] = connection.read("XREVRANGE", connection.keys.results(0), "+", "-", "COUNT", 1)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while connection.read("HGET", connection.keys.tracker(0), "position") != last:
        if time.monotonic() > deadline:
            raise RuntimeError("the tracker does not come to the last result")
        time.sleep(_CHUNK_SECONDS)
