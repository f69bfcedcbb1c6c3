"""What a producer tells Prometheus; per-camera figures come from the ledger."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from facestream.contract import SourceDrop
from facestream_producer.hooks import Hooks


class PrometheusHooks(Hooks):
    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "facestream_producer_"
        self._captured = Counter(
            prefix + "captured", "Frames captured that were published or dropped", registry=registry
        )
        self._published = Counter(prefix + "published", "Frames published", registry=registry)
        self._bytes = Counter(prefix + "published_bytes", "Bytes of pictures published", registry=registry)
        self._dropped = Counter(
            prefix + "dropped", "Frames captured and not published, by reason", ["reason"], registry=registry
        )
        self._rewound = Counter(
            prefix + "rewound", "Times the broker forgot frames and they were sent again", registry=registry
        )

    def published(self, size_bytes: int) -> None:
        self._captured.inc()
        self._published.inc()
        self._bytes.inc(size_bytes)

    def dropped(self, reason: SourceDrop, count: int) -> None:
        self._captured.inc(count)
        self._dropped.labels(reason.value).inc(count)

    def rewound(self, seq: int) -> None:
        self._rewound.inc()
