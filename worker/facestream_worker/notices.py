"""What a worker says in words: a line when something changes, never one per frame."""

from __future__ import annotations

import time
from typing import TextIO

from facestream.errors import BusError
from facestream.names import MAX_LENGTH, is_camera_name
from facestream_worker.hooks import Hooks
from facestream_worker.pipeline import Settled

QUIET_SECONDS = 10.0


class SignOfLife(Hooks):
    """Tells the process that started this one, on its standard output, that it has begun to work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def joined(self, broker_forgot: bool) -> None:
        print("ready", file=self._stream, flush=True)


class Notices(Hooks):
    """One line per change on a stream; refusals at most one in QUIET_SECONDS, with how many were not said.

    engine: what computes, for the greeting; known once the networks are loaded.
    """

    def __init__(self, worker: str, stream: TextIO, *, greets: bool = True) -> None:
        self._worker, self._stream, self.engine = worker, stream, ""
        self._is_lost, self._has_greeted = False, not greets
        self._unsaid, self._said_at = 0, float("-inf")

    def joined(self, broker_forgot: bool) -> None:
        if self._is_lost:
            self.say("the broker is back" + (", without its data" if broker_forgot else ""))
        elif not self._has_greeted:
            self.say("ready for frames" + (f", computing with {self.engine}" if self.engine else ""))
        self._is_lost, self._has_greeted = False, True

    def adopted(self, frames: int) -> None:
        self.say(f"adopted {frames} frame{'s' if frames > 1 else ''} of a worker that died")

    def bus_lost(self, error: BusError) -> None:
        if not self._is_lost:
            self.say(f"{error}; waiting for it")
        self._is_lost = True

    def settled(self, settled: Settled, commit_seconds: float, ended: int) -> None:
        for outcome in settled.outcomes:
            if outcome.reason is None:
                continue
            self._unsaid += 1
            if time.monotonic() - self._said_at >= QUIET_SECONDS:
                counted = f" ({self._unsaid} refused)" if self._unsaid > 1 else ""
                camera = _shown(outcome.delivery.camera)
                self.say(f"refused a frame of {camera}: {outcome.reason.value}{counted}")
                self._unsaid, self._said_at = 0, time.monotonic()

    def say(self, text: str) -> None:
        """One line, with this worker's name before it."""
        print(f"worker {self._worker}: {text}", file=self._stream, flush=True)


def _shown(camera: bytes) -> str:
    """A camera's name as a log may hold it: a stranger's may be anything, line breaks and escapes too."""
    name = camera.decode(errors="replace")
    return name if is_camera_name(name) else repr(name[:MAX_LENGTH])
