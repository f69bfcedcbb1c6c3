"""The registered cameras as Prometheus sees them: how each is doing, as its producer says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from facestream.bus.registry import Registry
from facestream.camera_state import CameraState
from facestream.errors import FacestreamError

CACHE_SECONDS = 1.0


class CameraCollector(Collector):
    """The states in the registry, which may be on another broker than the frames.

    `connect` makes a Registry, anew after each failure. One that is away, or that this user may not read,
    gives `facestream_registry_up 0` and nothing else; `tell` gets one line when that changes. Where `is_away`
    says that nobody answers there, it is not asked, so that a scrape waits for a dead broker but once.
    """

    def __init__(
        self, connect: Callable[[], Registry], tell: Callable[[str], None], is_away: Callable[[], bool]
    ) -> None:
        self._connect, self._tell, self._is_away = connect, tell, is_away
        self._registry: Registry | None = None
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._read_at = float("-inf")
        self._trouble = ""

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not wait for the broker."""
        return ()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at >= CACHE_SECONDS:
                self._metrics = list(self._read())
                self._read_at = time.monotonic()
            metrics = self._metrics
        yield from metrics

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _read(self) -> Iterable[Metric]:
        if self._is_away():  # whoever knows has said so
            return [_up(is_up=False)]
        try:
            self._registry = self._registry or self._connect()
            states, alive = self._registry.states(), self._registry.alive()
        except FacestreamError as error:
            return self._failed(str(error))
        except Exception as error:
            # A scrape is answered whatever lies in the broker; what it stumbled on is said, not thrown.
            return self._failed(f"unexpected {type(error).__name__} while reading the registry of cameras")
        self._say("")
        return [_up(is_up=True), *state_metrics(states, alive, self._registry.skipped)]

    def _failed(self, reason: str) -> list[Metric]:
        self._drop()
        self._say(reason)
        return [_up(is_up=False)]

    def _drop(self) -> None:
        if self._registry is not None:
            self._registry.close()
            self._registry = None

    def _say(self, trouble: str) -> None:
        if bool(trouble) != bool(self._trouble):
            said = f"no states of cameras: {trouble}" if trouble else "the registry of cameras is back"
            self._tell(said)
        self._trouble = trouble


def _up(*, is_up: bool) -> Metric:
    about = "1 when the registry of cameras could be read, else 0 and no state is given"
    return GaugeMetricFamily("facestream_registry_up", about, value=float(is_up))


def state_metrics(
    states: Mapping[str, CameraState], alive: Iterable[str], skipped: int = 0
) -> Iterator[Metric]:
    producers = frozenset(alive)
    state = GaugeMetricFamily(
        "facestream_camera_state",
        "1 for the state of a registered camera that its producer said last",
        labels=["camera", "state"],
    )
    since = GaugeMetricFamily(
        "facestream_camera_state_since_seconds",
        "When that state began: seconds since 1970, by the producer's clock",
        labels=["camera"],
    )
    held = GaugeMetricFamily(
        "facestream_camera_held",
        "1 while the producer that said so is alive; with 0 the state is an old one",
        labels=["camera"],
    )
    for camera, said in sorted(states.items()):
        state.add_metric([camera, said.state], 1.0)
        since.add_metric([camera], said.since_us / 1e6)
        held.add_metric([camera], float(said.holder in producers))
    yield from (state, since, held)
    about = "Producers of registered cameras heard of within the last seconds"
    yield GaugeMetricFamily("facestream_producers_alive", about, value=float(len(producers)))
    about = "States left out because facestream did not write them"
    yield GaugeMetricFamily("facestream_registry_skipped", about, value=float(skipped))
