"""Stopping on request: the first signal asks, the second kills."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process as if unhandled.

    The handlers that were there before are put back at the end.
    """
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    before = {number: signal.signal(number, ask) for number in STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_owner(stop: threading.Event, grace_seconds: float = 5.0) -> None:
    """Stop when standard input ends: the owner that holds its other end is gone.

    After the grace the process ends, finished or not: nothing may outlive its owner.
    """

    def follow() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop.set()
        threading.Event().wait(grace_seconds)
        os._exit(1)

    threading.Thread(target=follow, name="owner", daemon=True).start()
