"""Leaving in time: what cannot be finished within the grace goes back to the others."""

from __future__ import annotations

import contextlib
import os
import threading

from facestream.bus.taker import Taker
from facestream.errors import BusError


def leave_after(bus: Taker, stop: threading.Event, grace_seconds: float) -> None:
    """After the grace for finishing, hand back what is in hand and end the process."""

    def watch() -> None:
        stop.wait()
        threading.Event().wait(grace_seconds)
        with contextlib.suppress(BusError):  # what cannot be handed back will be adopted
            bus.leave()
        os._exit(1)

    threading.Thread(target=watch, name="grace", daemon=True).start()
