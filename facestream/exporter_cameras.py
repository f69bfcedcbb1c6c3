"""The registered cameras as Prometheus sees them: how each is doing, as its producer says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from facestream.bus.registry import Registry
from facestream.camera_state import CameraState
from facestream.exporter_base import BrokerCollector


class CameraCollector(BrokerCollector[Registry]):
    """The states in the registry, which may be on another broker than the frames.

    One that is away, or that this user may not read, gives `facestream_registry_up 0` and nothing else.
    Where `is_away` says that nobody answers there, it is not asked, so that a scrape waits for a dead broker
    but once.
    """

    def __init__(
        self, connect: Callable[[], Registry], tell: Callable[[str], None], is_away: Callable[[], bool]
    ) -> None:
        super().__init__(connect, tell)
        self._knows_it_is_away = is_away

    def read_or_fail(self) -> list[Metric]:
        if self._knows_it_is_away():  # whoever knows has said so
            return [_up(is_up=False)]
        return super().read_or_fail()

    def read(self) -> Iterator[Metric]:
        registry = self.connected()
        states, alive = registry.states(), registry.alive()
        yield from camera_registry_metrics(states, alive, registry.skipped)

    def down(self, seconds: float) -> Iterable[Metric]:
        return [_up(is_up=False)]

    def describe_trouble(self, trouble: str) -> str:
        return f"no states of cameras: {trouble}" if trouble else "the registry of cameras is back"


def _up(*, is_up: bool) -> Metric:
    about = "1 when the registry of cameras could be read, else 0 and no state is given"
    return GaugeMetricFamily("facestream_registry_up", about, value=float(is_up))


def camera_registry_metrics(
    states: Mapping[str, CameraState], alive: Iterable[str], skipped: int = 0
) -> Iterator[Metric]:
    """All that is said while the registry can be read."""
    yield _up(is_up=True)
    yield from state_metrics(states, alive, skipped)


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
        "facestream_camera_state_since_timestamp_seconds",
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
