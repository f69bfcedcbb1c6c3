"""One camera of the registry in this producer's hands: its source, its epoch, a thread that captures."""

from __future__ import annotations

import threading
from collections.abc import Callable

from facestream.bus.camera_entry import Camera
from facestream.bus.publisher import Epoch
from facestream.camera_state import CameraState, State
from facestream.errors import BusError, FacestreamError, Fenced
from facestream_producer.capture import Capture, Shape
from facestream_producer.hooks import Hooks, Several
from facestream_producer.source import Source, now_us


class Carrier:
    """Captures one camera until told to let go, or until another producer has taken it.

    `say_state` is told how the camera is doing; it must not fail. An error that ends the capture is said
    as the state `failed`; the camera may then be claimed again, by anyone.
    """

    def __init__(
        self,
        camera: Camera,
        source: Source,
        epoch: Epoch,
        shape: Shape,
        hooks: Hooks,
        say_state: Callable[[State, str | None], None],
        stop: threading.Event,
    ) -> None:
        self.camera = camera
        self._source, self._epoch, self._say_state, self._stop = source, epoch, say_state, stop
        hooks = Several(hooks, _FirstFrame(source, say_state))
        self._capture = Capture(source, epoch, shape, hooks, stop)
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera.name}", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def renew(self) -> None:
        """Keep the lease, whatever the camera does; a camera that is lost is let go."""
        if not self.is_done and not self._epoch.renew():
            self.let_go()

    def let_go(self) -> None:
        """Ask to end the epoch and give the camera free; it takes as long as one read of the camera."""
        self._stop.set()
        self._source.close()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            error: FacestreamError | None = self._capture.run()
        except Fenced:
            return  # its new holder says how it is doing
        except FacestreamError as caught:
            error = caught
        except Exception as unexpected:
            what = type(unexpected).__name__
            error = FacestreamError(f"unexpected {what} while capturing; please report it")
        finally:
            self._source.close()
        if error is not None and not isinstance(error, BusError):
            self._say_state("failed", str(error))


class _FirstFrame(Hooks):
    """A source without states of its own is live with its first frame; the network's say more themselves."""

    def __init__(self, source: Source, say_state: Callable[[State, str | None], None]) -> None:
        self._unsaid, self._say_state = source.kind != "camera", say_state

    def published(self, size_bytes: int) -> None:
        if self._unsaid:
            self._unsaid = False
            self._say_state("live", None)


def state_now(state: State, error: str | None, holder: str) -> CameraState:
    return CameraState(state, now_us(), error, holder)
