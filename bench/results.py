"""What reading a result costs: a ResultReader against a bare loop of XREADGROUP and msgpack.

    python -m bench.results
    python -m bench.results --results 50000 --faces 4 --repeat 9

The stream is filled first, so each reads as fast as it can. The bare loop believes whatever comes: it
checks nothing, leaves out no duplicate, and cannot tell what is missing. The kinds take turns, and of each
the median of the rounds counts; processor time, which neighbours on the machine change least, is the
reader's own.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgpack
import redis

from bench.bench import Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.contract import FaceMap, FrameHeader, describe_result, pack_result
from facestream.results.reader import ResultReader
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Grid, Report

PAGE = 128
SPARE_BYTES = 64 << 20
FACE: FaceMap = {
    "box": [812.25, 203.5, 96.125, 121.75],
    "score": 0.91796875,
    "landmarks": [[836.5, 250.25], [882.0, 249.5], [860.125, 275.0], [840.75, 301.5], [879.25, 300.0]],
    "attributes": {
        "gender": {"label": "female", "score": 0.97265625},
        "age": {"years": 31.5, "score": 0.375},
    },
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=positive, default=20_000, help="results of a round")
    parser.add_argument("--faces", type=positive, default=4, help="faces of a result")
    parser.add_argument("--repeat", type=positive, default=5, help="rounds of each kind; the median counts")


def measure(options: argparse.Namespace, command: str) -> Report:
    settings = {"results": options.results, "faces": options.faces, "repeat": options.repeat}
    report = Report("results", "What reading a result costs", command, settings)
    payload = make_result(options.faces)
    kinds = {"bare loop": read_bare, "ResultReader": read_by_group, "ResultReader, no group": read_plainly}
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with EmbeddedBroker(SPARE_BYTES + options.results * 4 * len(payload)) as broker:
        connection = Connection(broker.url)
        fill(connection, payload, options.results)
        for _ in range(options.repeat):
            for kind, read in kinds.items():
                spent[kind].append(timed(read, broker.url, connection.keys.results(0), options.results))
        connection.close()
    micro = {kind: median(cpu for cpu, _ in rounds) * 1e6 / options.results for kind, rounds in spent.items()}
    rates = {kind: options.results / median(wall for _, wall in rounds) for kind, rounds in spent.items()}
    ratios = [
        theirs[0] / bare[0] for theirs, bare in zip(spent["ResultReader"], spent["bare loop"], strict=True)
    ]
    rows = [[kind, round(micro[kind], 1), round(rates[kind])] for kind in kinds]
    report.grids = [Grid("reading", "Reading results", ["kind", "cpu µs a result", "results/s"], rows, 1)]
    report.figures = [
        Figure("result_bytes", "a packed result", len(payload), "bytes", 0),
        Figure("cpu_us", "processor time of a ResultReader", micro["ResultReader"], "µs/result"),
        Figure("per_second", "results one ResultReader reads", rates["ResultReader"], "results/s", 0),
        Figure("ratio", "its processor time against the bare loop's, same run", median(ratios), "times"),
    ]
    report.details = {"read": options.results * options.repeat * len(kinds), "ratios": ratios}
    return report


def make_result(faces: int) -> bytes:
    header = FrameHeader(
        *("lobby", "rtsp", 1_795_813_256_065_416, 123_456, 4_115_200_000, 1_795_817_371_265_416, "receipt"),
        *(1280, 720, 1920, 1080, (0, 0, 1920, 1080)),
    )
    return pack_result(
        describe_result(
            header,
            [FACE] * faces,
            models={
                "detector": "yunet 8f2383e4",
                "gender": "dlib-gender-v1 d4c4116c",
                "age": "dlib-age-v1 4f9f0075",
            },
            timings_ms={"decode": 2.125, "detect": 6.5, "align": 0.5, "classify": 1.25},
            worker="host-1234-0",
            completed_at_us=1_795_817_371_385_416,
        )
    )


def fill(connection: Connection, payload: bytes, count: int) -> None:
    """One stream of results that are told apart by `seq`, as a worker numbers its entries."""
    fields = msgpack.unpackb(payload)
    for number in range(1, count + 1):
        packed = msgpack.packb(fields | {"seq": number})
        connection.read("XADD", connection.keys.results(0), f"{number}-{number}", "r", packed)


def timed(read: Callable[[str, str, int], int], url: str, stream: str, count: int) -> tuple[float, float]:
    """Processor and wall seconds of reading them all."""
    began_cpu, began = time.process_time(), time.perf_counter()
    assert read(url, stream, count) == count
    return time.process_time() - began_cpu, time.perf_counter() - began


def read_bare(url: str, stream: str, count: int) -> int:
    group, seen = secrets.token_hex(4), 0
    with redis.Redis.from_url(url, protocol=2) as client:
        client.xgroup_create(stream, group, "0")
        while seen < count:
            reply: Any = client.xreadgroup(group, "bare", {stream: ">"}, count=PAGE)
            for _, entries in reply:
                for _, fields in entries:
                    seen += bool(msgpack.unpackb(fields[b"r"])["camera"])
                client.xack(stream, group, *[entry for entry, _ in entries])
        client.xgroup_destroy(stream, group)
    return seen


def read_by_group(url: str, stream: str, count: int) -> int:
    return _read(url, count, secrets.token_hex(4))


def read_plainly(url: str, stream: str, count: int) -> int:
    return _read(url, count, None)


def _read(url: str, count: int, group: str | None) -> int:
    seen = 0
    with ResultReader(url, group=group, start="earliest") as reader:
        for result in reader:
            seen += bool(result.camera)
            if seen == count:
                break
    return seen


BENCH = Bench("results", __doc__ or "", add_options, measure, short=("--results", "10000", "--repeat", "5"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
