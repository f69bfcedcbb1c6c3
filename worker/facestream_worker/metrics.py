"""What a worker tells Prometheus. No camera label: per-camera figures come from the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from facestream import __version__
from facestream.bus.taker import Delivery, Outcome
from facestream.errors import BusError
from facestream.metrics import SECONDS_BUCKETS, STAGE_BUCKETS
from facestream_worker.face_metrics import FaceMetrics
from facestream_worker.hooks import Hooks
from facestream_worker.pipeline import Settled

PREFIX = "facestream_worker_"


class PrometheusHooks(Hooks):
    """Figures of one worker, `name` as it is known to the broker."""

    def __init__(self, registry: CollectorRegistry, name: str = "") -> None:
        prefix = PREFIX
        Info(
            "facestream_worker", "This worker's name in the broker, and its release", registry=registry
        ).info({"worker": name, "version": __version__})
        self._results = Counter(prefix + "results", "Frames completed with a result", registry=registry)
        self._dropped = Counter(
            prefix + "dropped", "Frames refused, by reason", ["reason"], registry=registry
        )
        self._faces = FaceMetrics(registry, prefix)
        self._stages = Histogram(
            prefix + "stage_seconds",
            "Seconds a batch spent in a stage",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._age = Histogram(
            prefix + "result_age_seconds",
            "Age of a frame when its result was published, as this worker's clock sees it",
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._in_hand = Gauge(prefix + "frames_in_hand", "Frames taken and not yet ended", registry=registry)
        self._adopted = Counter(
            prefix + "adopted", "Frames put back that dead workers held", registry=registry
        )
        self._lost = Counter(prefix + "broker_lost", "Times the broker went away", registry=registry)
        self._joins = Counter(prefix + "joins", "Times this worker joined the broker", registry=registry)

    def joined(self, broker_forgot: bool) -> None:
        self._in_hand.set(0)
        self._joins.inc()

    def taken(self, batch: Sequence[Delivery], seconds: float) -> None:
        self._in_hand.inc(len(batch))
        self._stages.labels("take").observe(seconds)

    def settled(self, settled: Settled, commit_seconds: float, ended: int) -> None:
        self._in_hand.dec(len(settled.outcomes))
        self._stages.labels("commit").observe(commit_seconds)
        for stage, seconds in settled.stages.items():
            self._stages.labels(stage).observe(seconds)
        for outcome in settled.outcomes:
            self._count(outcome)
        for faces in settled.faces:
            self._faces.count(faces)

    def adopted(self, frames: int) -> None:
        self._adopted.inc(frames)

    def bus_lost(self, error: BusError) -> None:
        self._in_hand.set(0)
        self._lost.inc()

    def _count(self, outcome: Outcome) -> None:
        if outcome.reason is not None:
            self._dropped.labels(outcome.reason.value).inc()
            return
        self._results.inc()
        published_ms = int(outcome.delivery.entry.split("-")[0])
        self._age.observe(max(0.0, time.time() - published_ms / 1000 + outcome.held_us / 1e6))
