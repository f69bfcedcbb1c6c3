"""What a sink tells Prometheus."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from facestream.errors import ResultsMissed, SinkRefused, SinkUnavailable
from facestream_sinks.hooks import Hooks
from facestream_sinks.record import Record


class PrometheusHooks(Hooks):
    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "facestream_sink_"
        self._sent = Counter(prefix + "sent", "Records that the receiver has", registry=registry)
        self._retried = Counter(
            prefix + "retried", "Times the receiver took nothing and was tried again", registry=registry
        )
        self._refused = Counter(
            prefix + "refused", "Records that the receiver will never take: parked, or not", ["parked"],
            registry=registry,
        )  # fmt: skip
        self._gaps = Counter(
            prefix + "gaps", "Times results were missed, their number known or not", registry=registry
        )
        self._missed = Counter(
            prefix + "missed", "Results that were removed before they were read", registry=registry
        )
        lag = Gauge(
            prefix + "lag_seconds",
            "Seconds since the broker had the oldest record on its way, 0 for none",
            registry=registry,
        )
        lag.set_function(self._lag_seconds)
        self._oldest_ms = 0

    def taken(self, records: Sequence[Record]) -> None:
        self._oldest_ms = min((record.at_ms for record in records if record.at_ms), default=0)

    def sent(self, records: Sequence[Record]) -> None:
        self._sent.inc(len(records))

    def retried(self, error: SinkUnavailable) -> None:
        self._retried.inc()

    def refused(self, record: Record, error: SinkRefused, parked: str | None) -> None:
        self._refused.labels("yes" if parked else "no").inc()

    def missed(self, missed: ResultsMissed) -> None:
        self._missed.inc(missed.count or 0)
        self._gaps.inc()

    def done(self) -> None:
        self._oldest_ms = 0

    def _lag_seconds(self) -> float:
        oldest_ms = self._oldest_ms
        return max(0.0, time.time() - oldest_ms / 1000) if oldest_ms else 0.0
