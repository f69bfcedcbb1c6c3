"""What a worker says in words: a line when something changes, never one per frame."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

from facestream.bus.taker import Delivery
from facestream.contract import DropReason, FrameHeader
from facestream.errors import BusError, FrameRefused
from facestream.log import Say, Seldom
from facestream.names import MAX_LENGTH, is_camera_name
from facestream_worker.hooks import Hooks
from facestream_worker.pipeline import Settled


class SignOfLife(Hooks):
    """Tells the process that started this one, on its standard output, that it has begun to work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def joined(self, broker_forgot: bool) -> None:
        print("ready", file=self._stream, flush=True)


class Notices(Hooks):
    """One line per change; refusals at most one in some seconds, with how many were not said.

    engine: what computes, for the greeting; known once the networks are loaded.
    """

    def __init__(self, say: Say, *, greets: bool = True) -> None:
        self._say, self.engine = say, ""
        self._is_lost, self._has_greeted = False, not greets
        self._refusals = Seldom()

    def joined(self, broker_forgot: bool) -> None:
        if self._is_lost:
            self._say("the broker is back" + (", without its data" if broker_forgot else ""), event="joined")
        elif not self._has_greeted:
            computing = f", computing with {self.engine}" if self.engine else ""
            self._say("ready for frames" + computing, event="joined")
        self._is_lost, self._has_greeted = False, True

    def adopted(self, frames: int) -> None:
        frames_of = f"{frames} frame{'s' if frames > 1 else ''}"
        self._say(f"adopted {frames_of} of a worker that died", event="adopted", frames=frames)

    def bus_lost(self, error: BusError) -> None:
        if not self._is_lost:
            self._say(f"{error}; waiting for it", event="broker_lost", level="warning", reason=str(error))
        self._is_lost = True

    def settled(self, settled: Settled, commit_seconds: float, ended: int) -> None:
        for outcome in settled.outcomes:
            if outcome.reason is not None and (refused := self._refusals.due()):
                self._refused(outcome.delivery, outcome.reason, refused)

    def _refused(self, delivery: Delivery, reason: DropReason, refused: int) -> None:
        camera = _shown(delivery.camera)
        counted = f" ({refused} refused)" if refused > 1 else ""
        where: dict[str, int] = {}
        with suppress(FrameRefused):  # the header may be what is wrong with it
            header = FrameHeader.unpack(delivery.header)
            where = {"epoch": header.epoch, "seq": header.seq}
        self._say(
            f"refused a frame of {camera}: {reason.value}{counted}",
            event="refused",
            level="warning",
            camera=camera,
            reason=reason.value,
            count=refused,
            **where,
        )


def _shown(camera: bytes) -> str:
    """A camera's name as a log may hold it: a stranger's may be anything, line breaks and escapes too."""
    name = camera.decode(errors="replace")
    return name if is_camera_name(name) else repr(name[:MAX_LENGTH])
