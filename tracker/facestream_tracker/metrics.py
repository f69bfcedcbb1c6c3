"""What a tracker tells Prometheus: the figures of every camera it has, and its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from facestream.errors import BusError
from facestream.metrics import STAGE_BUCKETS
from facestream_tracker.camera import Camera, Said
from facestream_tracker.hooks import Hooks
from facestream_tracker.partition import Partition

# Of a camera's sums: name → what it is. What they count outlives the tracker: it is kept with the camera.
_SUMS: Final = {
    "results": ("facestream_tracker_results", "Results taken in their turn"),
    "late": ("facestream_tracker_late_results", "Results that came after their turn had been given up"),
    "ignored": ("facestream_tracker_ignored_results", "Results that came too late for any figure"),
    "minutes": ("facestream_audience_minutes", "Number of minutes whose figures are final"),
}
_SPLIT: Final = {
    "people": ("facestream_audience_people", "Number of people who left, by apparent gender", "label"),
    "entries": ("facestream_audience_entries", "Times a line was passed from left to right", "line"),
    "exits": ("facestream_audience_exits", "Times a line was passed from right to left", "line"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a camera. sums: see `Camera`. present: None where it is withheld."""

    camera: str
    sums: dict[str, int]
    present: int | None


class PrometheusHooks(Hooks, Collector):
    """Figures of fewer people than the least group are not shown, here either."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "facestream_tracker_"
        self._cameras: list[Shown] = []
        self._partitions = Gauge(
            prefix + "partitions", "Number of partitions this tracker has", registry=registry
        )
        self._events = Counter(
            prefix + "track_events", "Events of tracks that were published", registry=registry
        )
        self._unreadable = Counter(
            prefix + "unreadable_results", "Results that were not of the contract", registry=registry
        )
        self._missed = Counter(
            prefix + "missed_results", "Results that were removed before they were read", registry=registry
        )
        self._settling = Histogram(
            prefix + "settle_seconds",
            "Seconds that publishing and keeping took",
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._lost = Counter(prefix + "broker_lost", "Times a broker went away", registry=registry)
        registry.register(self)

    def settled(self, partition: Partition, said: Said, seconds: float) -> None:
        self._settling.observe(seconds)
        self._events.inc(len(said.tracks))
        self._unreadable.inc(partition.unreadable)
        self._missed.inc(partition.missed)

    def looked(self, partitions: Collection[Partition]) -> None:
        self._partitions.set(len(partitions))
        cameras = [camera for partition in partitions for camera in partition.cameras.values()]
        self._cameras = [Shown(each.name, dict(each.sums), _present(each)) for each in cameras]

    def bus_lost(self, error: BusError) -> None:
        self._lost.inc()

    def collect(self) -> Iterator[Metric]:
        return iter(camera_metrics(self._cameras))  # one list for all: the loop puts another in its place

    def describe(self) -> Iterator[Metric]:
        """What could be collected: nothing is looked at for this."""
        return iter(camera_metrics([]))


def camera_metrics(cameras: Sequence[Shown]) -> list[Metric]:
    """Every figure of these cameras."""
    families: list[Metric] = []
    for key, (name, text) in _SUMS.items():
        families.append(plain := CounterMetricFamily(name, text, labels=["camera"]))
        for each in cameras:
            plain.add_metric([each.camera], each.sums.get(key, 0))
    for key, (name, text, label) in _SPLIT.items():
        families.append(split := CounterMetricFamily(name, text, labels=["camera", label]))
        for each in cameras:
            for field, count in each.sums.items():
                if field.startswith(f"{key}:"):
                    split.add_metric([each.camera, field.partition(":")[2]], count)
    return families + _in_seconds(cameras)


def _in_seconds(cameras: Sequence[Shown]) -> list[Metric]:
    text = "Seconds of final minutes in which there was no frame"
    blind = CounterMetricFamily("facestream_audience_no_data_seconds", text, labels=["camera"])
    text = "Number of people who are there now"
    present = GaugeMetricFamily("facestream_audience_present", text, labels=["camera"])
    for each in cameras:
        blind.add_metric([each.camera], each.sums.get("no_data_ms", 0) / 1000)
        if each.present is not None:
            present.add_metric([each.camera], each.present)
    return [blind, present]


def _present(camera: Camera) -> int | None:
    people = sum(track.confirmed for track in camera.tracker.tracks)
    return None if 0 < people < camera.least_group else people
