"""What the broker costs a frame: publish, take and commit, with a pipeline that does nothing.

    python -m bench.bus
    python -m bench.bus --sizes 60 --batches 1 4 8 --frames 2000

One client, one camera, pictures of random bytes, results of the size a frame of four faces has. Each step
is one round trip, so its time is the client's and the server's together; the server's own processor time
is told by the server. Client and server each have a core. Users have it as `facestream bench broker`.
"""

from __future__ import annotations

import argparse
import sys

from bench.bench import Bench
from facestream_bench.broker import Plan
from facestream_bench.broker import measure as measure_broker
from facestream_bench.frames import positive
from facestream_bench.report import Report


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=positive, nargs="+", default=[30, 60, 200], help="pictures, in KB")
    parser.add_argument("--batches", type=positive, nargs="+", default=[1, 4], help="frames taken at a time")
    parser.add_argument("--frames", type=positive, default=500, help="frames of a round")
    parser.add_argument("--repeat", type=positive, default=5, help="rounds of each kind; the median counts")


def measure(options: argparse.Namespace, command: str) -> Report:
    return measure_broker(Plan(options.sizes, options.batches, options.frames, options.repeat), command)


BENCH = Bench("bus", __doc__ or "", add_options, measure, short=("--frames", "200", "--repeat", "3"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
