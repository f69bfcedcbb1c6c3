"""Producers and workers in the real loops, whose frames are tiny and whose pipeline does nothing.

    python -m bench.chaos_null worker
    python -m bench.chaos_null producer CAMERA=FRAMES …

The broker's address is in FACESTREAM_REDIS. Each ends when its standard input does.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Taker
from facestream.errors import FacestreamError
from facestream.settings import load_settings
from facestream.signals import end_with_owner, stop_on_signals
from facestream_producer.capture import Capture, Shape
from facestream_producer.hooks import Hooks
from facestream_producer.session import LOSSLESS_DEPTH
from facestream_worker.loop import run
from tests.support.plain import SIDE, PlainPipeline, PlainSource

BATCH = 16
SHAPE = Shape(max_side=SIDE, quality=50, max_age_ms=None, attributes=())


def main() -> int:
    role, *cameras = sys.argv[1:]
    with stop_on_signals() as stop:
        end_with_owner(stop)
        try:
            connection = Connection(str(load_settings().redis_url))
            if role == "worker":
                _work(connection, stop)
                return 0
            with ThreadPoolExecutor(max_workers=len(cameras)) as pool:
                return max(pool.map(lambda camera: _carry(connection, camera, stop), cameras))
        except FacestreamError as error:
            print(f"{role}: {error}", file=sys.stderr)
            return 1


def _work(connection: Connection, stop: threading.Event) -> None:
    name = f"{socket.gethostname()}-{os.getpid()}-null"
    run(Taker(connection, name), PlainPipeline(name), [], stop, batch_size=BATCH)  # type: ignore[arg-type]


def _carry(connection: Connection, given: str, stop: threading.Event) -> int:
    """Carry a camera's frames to their end, going on where one that was killed left off."""
    camera, _, frames = given.partition("=")
    source = PlainSource(int(frames), name=camera)
    while True:
        begun = Epoch.begin(
            connection,
            camera,
            live=False,
            depth=LOSSLESS_DEPTH,
            fingerprint=source.fingerprint(),
            resume=True,
        )
        if isinstance(begun, Epoch):
            break
        if stop.wait(begun):
            return 0
    return 0 if Capture(source, begun, SHAPE, Hooks(), stop).run() is None else 1


if __name__ == "__main__":
    sys.exit(main())
