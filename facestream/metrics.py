"""Serving a process's metrics to Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, start_http_server

from facestream.errors import SettingsError

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class RestartCounter:
    """Counts restarts of child processes by name; give `count` to a Supervisor."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._restarts = Counter(
            "facestream_restarts", "Child processes started again", ["process"], registry=self.registry
        )

    def count(self, process: str) -> None:
        self._restarts.labels(process).inc()


def serve_metrics(registry: CollectorRegistry, port: int, host: str = "127.0.0.1") -> int:
    """Serve `registry` at http://host:port/metrics for as long as the process lives; the port it got.

    Port 0 takes a free one. Raises SettingsError when the port is taken.
    """
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise SettingsError(f"--metrics-port {port}: {reason}; choose another port") from None
    return int(server.server_port)
