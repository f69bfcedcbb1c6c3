"""Producers share the registry's cameras: each holds its part by lease and gives up what is over it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable

from facestream.backoff import Backoff
from facestream.bus.camera_entry import Camera
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.registry import Registry
from facestream.camera_state import State
from facestream.errors import BusError, BusFull, BusUnavailable, FacestreamError
from facestream.log import Level, Say, Seldom
from facestream_producer.attaching import open_camera
from facestream_producer.capture import Shape
from facestream_producer.carrier import Carrier, state_now
from facestream_producer.hooks import Hooks, Several, said_of_recording

TICK_SECONDS = 0.5
BEAT_SECONDS = 1.0
# Opening a camera costs a burst of work: a producer that takes over many does it a few at a time.
CLAIMS_PER_TICK = 8
TRIES_PER_TICK = 64
RETRY_FAILED_SECONDS = 10.0
LEAVE_SECONDS = 8.0
MEETING_SECONDS = 3.0
LIVE_DEPTH = 2


class Fleet:
    """The cameras this producer holds, kept at its fair share of all that are registered.

    max_cameras: never hold more. shape: how frames are made where a camera's settings do not say.
    beside: so many other producers start together with this one, and are waited for a moment.
    """

    def __init__(
        self,
        connection: Connection,
        registry: Registry,
        name: str,
        shape: Shape,
        metrics: Hooks,
        say: Say,
        stop: threading.Event,
        *,
        max_cameras: int,
        depth: int | None = None,
        beside: int = 0,
    ) -> None:
        self._connection, self._registry, self._name = connection, registry, name
        self._shape, self._metrics, self._say, self._stop = shape, metrics, say, stop
        self._max_cameras, self._depth = max_cameras, depth or LIVE_DEPTH
        self._carriers: dict[str, Carrier] = {}
        self._not_before: dict[str, float] = {}
        self._producers = [name]
        self._beside, self._troubles = beside, Seldom()

    def run(self) -> None:
        """Hold, claim and give up cameras until asked to stop; then give up all."""
        beating = threading.Thread(target=self._keep_leases, name="leases", daemon=True)
        beating.start()
        backoff = Backoff(TICK_SECONDS, 5.0)
        self._await_others()
        while not self._stop.is_set():
            self._metrics.watched("the share of cameras")
            try:
                self._tick()
                backoff.reset()
                self._stop.wait(TICK_SECONDS)
            except (BusUnavailable, BusFull) as error:
                self._metrics.troubled(error)
                if self._troubles.due():
                    text = f"{error}; the cameras in hand go on"
                    self._say(text, event="broker_lost", level="warning", reason=str(error))
                self._stop.wait(backoff.next_seconds())
        self._leave()
        beating.join()

    def _await_others(self) -> None:
        """Who starts beside us is heard first: what both claimed at once would be given up again."""
        deadline = time.monotonic() + MEETING_SECONDS
        while len(self._producers) <= self._beside and time.monotonic() < deadline:
            if self._stop.wait(TICK_SECONDS / 5):
                return

    def _tick(self) -> None:
        cameras = {camera.name: camera for camera in self._registry.list()}
        self._metrics.reached()
        self._forget_ended()
        self._let_go_of_changed(cameras)
        wanted = [camera for camera in cameras.values() if not camera.settings.paused]
        share = min(self._max_cameras, math.ceil(len(wanted) / max(1, len(self._producers))))
        over = len(self._carriers) - share
        if over > 0:
            self._let_go_of_one()
        else:
            self._claim(wanted, -over)

    def _forget_ended(self) -> None:
        for name in [name for name, carrier in self._carriers.items() if carrier.is_done]:
            del self._carriers[name]
            self._not_before[name] = time.monotonic() + RETRY_FAILED_SECONDS

    def _let_go_of_changed(self, cameras: dict[str, Camera]) -> None:
        """Of cameras that were removed or paused, and of changed ones, to be claimed as they are now."""
        for name, carrier in self._carriers.items():
            camera = cameras.get(name)
            if camera == carrier.camera:
                continue
            carrier.let_go()
            carrier.join(LEAVE_SECONDS)
            self._not_before.pop(name, None)
            if camera is not None and camera.settings.paused:
                self._report(name, "paused", None)
        self._carriers = {name: each for name, each in self._carriers.items() if not each.is_done}

    def _let_go_of_one(self) -> None:
        """One at a time, the latest first: whoever joined claims it, and the others are not disturbed."""
        name, carrier = list(self._carriers.items())[-1]
        carrier.let_go()
        carrier.join(LEAVE_SECONDS)
        del self._carriers[name]
        self._not_before[name] = time.monotonic() + 4 * TICK_SECONDS

    def _claim(self, wanted: Iterable[Camera], room: int) -> None:
        now = time.monotonic()
        free = [
            camera
            for camera in wanted
            if camera.name not in self._carriers and self._not_before.get(camera.name, 0.0) <= now
        ]
        claims = min(room, CLAIMS_PER_TICK)
        for camera in free[:TRIES_PER_TICK]:
            if claims <= 0:
                return
            claims -= self._try_to_claim(camera)

    def _try_to_claim(self, camera: Camera) -> bool:
        begun = Epoch.begin(self._connection, camera.name, live=True, depth=self._depth)
        if not isinstance(begun, Epoch):
            # Somebody has it: look again when its lease would run out, or soon, in case it is given up.
            self._not_before[camera.name] = time.monotonic() + min(begun, 2 * TICK_SECONDS)
            return False
        try:
            self._carriers[camera.name] = self._carry(camera, begun)
        except FacestreamError as error:
            begun.report(ended=True)
            self._report(camera.name, "failed", str(error), begun)
            self._not_before[camera.name] = time.monotonic() + RETRY_FAILED_SECONDS
            return False
        return True

    def _carry(self, camera: Camera, epoch: Epoch) -> Carrier:
        stop = threading.Event()

        def say_state(state: State, error: str | None) -> None:
            self._report(camera.name, state, error, epoch)

        source = open_camera(
            camera, self._registry.reveal(camera.name), self._registry.policy, say_state, stop, self._say
        )
        settings = camera.settings
        shape = Shape(
            max_side=settings.max_side or self._shape.max_side,
            quality=settings.quality or self._shape.quality,
            max_age_ms=settings.max_age_ms or self._shape.max_age_ms,
            attributes=settings.attributes or self._shape.attributes,
            zone=settings.zone,
        )
        hooks = Several(self._metrics, _Recordings(camera.name, self._say))
        return Carrier(camera, source, epoch, shape, hooks, say_state, stop)

    def _report(self, camera: str, state: State, error: str | None, epoch: Epoch | None = None) -> None:
        """A state that cannot be said now is said with the next change; capturing matters more."""
        now = state_now(state, error, self._name)
        text = f"{camera}: {state}" + (f" ({now.error})" if now.error else "")
        level: Level = "info" if state in ("connecting", "live", "paused") else "warning"
        where = {} if epoch is None else {"epoch": epoch.epoch, "seq": epoch.next_seq - 1}
        self._say(text, event="state", level=level, camera=camera, state=state, reason=now.error, **where)
        try:
            self._registry.report_state(camera, now)
        except BusError as trouble:
            text = f"{camera}: its state could not be stored ({trouble})"
            self._say(text, event="state_unsaid", level="warning", camera=camera, reason=str(trouble))

    def _keep_leases(self) -> None:
        """In a thread of its own: neither a slow camera nor a full broker may cost another its lease."""
        while True:
            try:
                self._producers = self._registry.beat(self._name) or [self._name]
                for carrier in list(self._carriers.values()):
                    carrier.renew()
            except BusError:
                pass  # the main thread says so; leases outlive a short absence
            if self._stop.wait(BEAT_SECONDS):
                return

    def _leave(self) -> None:
        deadline = time.monotonic() + LEAVE_SECONDS
        for carrier in self._carriers.values():
            carrier.let_go()
        for carrier in self._carriers.values():
            carrier.join(max(0.0, deadline - time.monotonic()))
        try:
            self._registry.leave(self._name)
        except BusError as error:
            self._say(str(error), event="broker_lost", level="warning", reason=str(error))


class _Recordings(Hooks):
    """Nobody's pictures are kept without a word in the log."""

    def __init__(self, camera: str, say: Say) -> None:
        self._camera, self._say = camera, say

    def recording(self, is_recorded: bool) -> None:
        text = f"{self._camera}: {said_of_recording(is_recorded)}"
        self._say(text, event="recording", camera=self._camera)
