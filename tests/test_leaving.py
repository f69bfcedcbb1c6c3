"""A worker that is asked to stop and cannot finish in time hands back what it holds."""

from __future__ import annotations

import subprocess
import sys

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from support.bus import begin, publish, result_of, take, worker

# A worker that is busy with its frames for ever.
STUCK = """
import sys, threading
from facestream.bus.connection import Connection
from facestream.bus.taker import Taker
from facestream_worker.leaving import leave_after

url, prefix = sys.argv[1:]
taker = Taker(Connection(url, prefix=prefix), "stuck")
assert len(taker.take(4, 5.0)) == 3
stop = threading.Event()
leave_after(taker, stop, grace_seconds=0.0)
stop.set()
threading.Event().wait()
"""


def test_what_is_not_finished_within_the_grace_goes_back(
    broker: EmbeddedBroker, prefix: str, connection: Connection
) -> None:
    publish(begin(connection, "gate"), 3)
    done = subprocess.run([sys.executable, "-c", STUCK, broker.url, prefix], timeout=60, check=False)
    assert done.returncode == 1
    assert read_ledger(connection, "gate").in_flight == 3
    # Others have them at once, and being handed back was no attempt.
    peer = worker(connection, "peer")
    for _ in range(3):
        batch = take(peer, 4)
        assert [delivery.attempts for delivery in batch] == [1]
        peer.commit([result_of(delivery) for delivery in batch])
    ledger = read_ledger(connection, "gate")
    assert (ledger.results, ledger.closes) == (3, True)
