"""A producer at work: several sources, each in a thread with an epoch of its own."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from facestream.backoff import Backoff
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.publisher import LEASE_SECONDS, Epoch
from facestream.errors import BusFull, BusUnavailable, FacestreamError, UsageError
from facestream.log import OWN, Log, Say, Seldom
from facestream.names import check_camera_name, unique_slug
from facestream.redaction import redact
from facestream_producer.attaching import Play, play
from facestream_producer.capture import Capture, Shape
from facestream_producer.device import is_device
from facestream_producer.events import Events
from facestream_producer.hooks import Hooks, Several, said_of_recording
from facestream_producer.opening import expand, open_source
from facestream_producer.recorded import recorded_camera
from facestream_producer.source import Source
from facestream_producer.vital_signs import Turning

# Files take turns when there are many: each has a decoder of its own.
FILES_AT_ONCE = 4
LIVE_DEPTH = 2
LOSSLESS_DEPTH = 16
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 2.0


def name_cameras(sources: Sequence[str], wanted: str | None) -> list[str]:
    """A camera name for every source: the wanted one, or a slug of each, told apart by a number."""
    if wanted is not None:
        if len(sources) != 1:
            raise UsageError(f"--camera names one source, but there are {len(sources)}: leave it out")
        return [check_camera_name(wanted)]
    names: list[str] = []
    for source in sources:
        if camera := recorded_camera(source):
            names.append(unique_slug(camera, names))
            continue
        # The demo scene's settings are no part of its name, nor a folder's closing slash of its.
        plain = "demo" if source.startswith("demo:") else source.rstrip("/")
        names.append(unique_slug(plain, names))
    return names


class Session:
    """Carries sources to their ends; `run` says how many failed."""

    def __init__(
        self,
        connection: Connection,
        shape: Shape,
        metrics: Hooks,
        stop: threading.Event,
        *,
        depth: int | None = None,
        resume: bool = False,
        resume_after: int = 0,
        play: Play | None = None,
        say: Say | None = None,
    ) -> None:
        """`resume`: go on with an epoch that was cut short, if it is later than `resume_after`.

        `play`: files stand in for cameras, at their own pace. `say`: standard error, in words, unless given.
        """
        self._play = play
        self._connection, self._shape, self._metrics, self._stop = connection, shape, metrics, stop
        self._depth, self._resume, self._resume_after = depth, resume, resume_after
        self._events = Events(say or Log("producer"))

    def expand(self, texts: Sequence[str]) -> tuple[list[str], int]:
        """What the texts stand for, and how many of them stand for nothing; the others go on."""
        found: list[str] = []
        failed = 0
        for text in texts:
            try:
                found += expand([text])
            except FacestreamError as error:
                self._fail(text, error)
                failed += 1
        return found, failed

    def run(self, sources: Sequence[str], cameras: Sequence[str]) -> int:
        # What is live takes nobody's turn.
        at_once = FILES_AT_ONCE + (len(sources) if self._play else sum(map(is_device, sources)))
        with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="source") as pool:
            return sum(pool.map(self._carry, sources, cameras))

    def _carry(self, text: str, camera: str) -> bool:
        """True when the source failed, at the start or half-way; it was said then, and the others go on."""
        if self._stop.is_set():
            return False
        try:
            source = self._open(text)
            try:
                return self._capture(text, source, camera)
            finally:
                source.close()
        except Exception as error:
            self._fail(text, error)
            return True

    def _open(self, text: str) -> Source:
        if self._play is None or is_device(text):
            return open_source(text)
        return play(text, self._play, self._stop)

    def _fail(self, text: str, error: Exception) -> None:
        said = str(error) if isinstance(error, FacestreamError) else _unexpected(error)
        self._events.failed(redact(text), said)
        self._events.say(f"{OWN}{said}", event="source_failed", level="error", reason=said)

    def _capture(self, given: str, source: Source, camera: str) -> bool:
        epoch = self._begin(source, camera)
        if epoch is None:
            return True
        self._metrics.reached()
        self._events.began(given, source, epoch)
        hooks = Several(self._metrics, _Troubles(self._events.say, camera), Turning(self._metrics, camera))
        try:
            broken = Capture(source, epoch, self._shape, hooks, self._stop).run()
        finally:
            self._metrics.left(camera)
        self._events.ended(epoch, epoch.totals, str(broken) if broken else None)
        if broken:
            self._events.say(
                f"{OWN}{broken}",
                event="source_broken",
                level="warning",
                camera=camera,
                epoch=epoch.epoch,
                seq=epoch.next_seq - 1,
                reason=str(broken),
            )
        return broken is not None

    def _begin(self, source: Source, camera: str) -> Epoch | None:
        """The camera's epoch; waits out the lease of a producer that was killed. None when asked to stop."""
        depth = self._depth or (LIVE_DEPTH if source.live else LOSSLESS_DEPTH)
        deadline = time.monotonic() + LEASE_SECONDS + 1
        fingerprint = "" if source.live else source.fingerprint()

        def begin() -> Epoch | float:
            resume = self._resume and read_ledger(self._connection, camera).epoch > self._resume_after
            return Epoch.begin(
                self._connection,
                camera,
                live=source.live,
                depth=depth,
                fingerprint=fingerprint,
                resume=resume,
            )

        while True:
            begun = self._outwait(begin, camera)
            if begun is None or isinstance(begun, Epoch):
                return begun
            if time.monotonic() + begun > deadline:
                raise UsageError(
                    f"camera {camera} is being sent by another producer: wait for its end, or send under "
                    "another name with --camera"
                )
            if self._stop.wait(begun):
                return None

    def _outwait(self, begin: Callable[[], Epoch | float], camera: str) -> Epoch | float | None:
        """Try until the broker is there: no source fails for its absence. None when asked to stop."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
        troubles = _Troubles(self._events.say, camera)
        while True:
            try:
                return begin()
            except (BusUnavailable, BusFull) as error:
                troubles.troubled(error)
                if self._stop.wait(backoff.next_seconds()):
                    return None


def _unexpected(error: Exception) -> str:
    if os.environ.get("FACESTREAM_DEBUG"):
        traceback.print_exception(error)
    return f"unexpected {type(error).__name__}: {redact(str(error))}; please report it"


class _Troubles(Hooks):
    """Says what goes wrong with a camera, seldom where it goes on and on."""

    def __init__(self, say: Say, camera: str) -> None:
        self._say, self._camera = say, camera
        self._troubles = Seldom()

    def rewound(self, seq: int) -> None:
        text = f"{self._camera}: the broker forgot frames; sending again from frame {seq}"
        self._say(text, event="rewound", level="warning", camera=self._camera, seq=seq)

    def recording(self, is_recorded: bool) -> None:
        text = f"{self._camera}: {said_of_recording(is_recorded)}"
        self._say(text, event="recording", camera=self._camera)

    def troubled(self, error: FacestreamError) -> None:
        if count := self._troubles.due():
            text = f"{self._camera}: {error}"
            about = {"camera": self._camera, "reason": str(error)}
            self._say(text, event="trouble", level="warning", count=count, **about)
