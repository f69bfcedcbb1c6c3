"""Serving a process's metrics to Prometheus, and its health to whoever looks after it."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from facestream.errors import SettingsError
from facestream.vitals import Health

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

LOOPBACK = "127.0.0.1"
# Whoever reaches the port costs a thread for so long at most, and so many threads at once.
ASKED_SECONDS = 10.0
ASKED_AT_ONCE = 16


class RestartCounter:
    """Counts restarts of child processes by name; give `count` to a Supervisor."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._restarts = Counter(
            "facestream_restarts",
            "Times a child process was started again",
            ["process"],
            registry=self.registry,
        )

    def count(self, process: str) -> None:
        self._restarts.labels(process).inc()


def serve_metrics(
    registry: CollectorRegistry, port: int, host: str = LOOPBACK, *, health: Health | None = None
) -> int:
    """Serve `registry` at http://host:port/metrics for as long as the process lives; the port it got.

    `health` is at /healthz and /readyz: 200 and `ok`, or 503 and a line that says what is wrong; without it
    they do not exist. Port 0 takes a free one. Raises SettingsError when the address cannot be had.
    """
    try:
        server = open_server(registry, port, host, health)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        if host != LOOPBACK:
            where = f"--metrics-host {host} --metrics-port {port}"
            raise SettingsError(
                f"{where}: {reason}; name an address of this machine and a free port"
            ) from None
        raise SettingsError(f"--metrics-port {port}: {reason}; choose another port") from None
    return int(server.server_port)


def open_server(
    registry: CollectorRegistry, port: int, host: str, health: Health | None = None
) -> ThreadingWSGIServer:
    """A server that answers already, in a thread of its own; `shutdown` and `server_close` end it.

    The process's own figures (memory, processor time, start) are added. Raises OSError or OverflowError when
    the address cannot be had.
    """
    server = make_server(host, port, _Answers(registry, health), _server_for(host), _Handler)
    ProcessCollector(registry=registry)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _Answers:
    """What is served where, as a WSGI application."""

    def __init__(self, registry: CollectorRegistry, health: Health | None) -> None:
        self._pages: dict[str, Any] = {"/metrics": make_wsgi_app(registry)}
        if health is not None:
            self._pages |= {"/healthz": _page(health.stuck), "/readyz": _page(health.unready)}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        page = self._pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            return _say(start_response, "404 Not Found", "here are " + ", ".join(self._pages))
        if environ.get("REQUEST_METHOD") != "GET":
            return _say(start_response, "405 Method Not Allowed", "only GET")
        answer: Iterable[bytes] = page(environ, start_response)
        return answer


def _page(wrong: Callable[[], str]) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    def answer(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        why = wrong()
        return _say(start_response, "503 Service Unavailable" if why else "200 OK", why or "ok")

    return answer


def _say(start_response: StartResponse, status: str, line: str) -> Iterable[bytes]:
    text = " ".join(line.split()) + "\n"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return [text.encode()]


class _InTime(io.RawIOBase):
    """Reads from a socket, all of it within so long: who says a letter now and then is late as well."""

    def __init__(self, line: socket.socket, seconds: float) -> None:
        self._line, self._until = line, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._line.settimeout(left)
        return self._line.recv_into(buffer)


class _Handler(WSGIRequestHandler):
    timeout = ASKED_SECONDS

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_InTime(self.connection, self.timeout))

    def log_message(self, *_arguments: object) -> None:
        """Nothing: one line a scrape is no news."""


class _Server(ThreadingWSGIServer):
    """Answers a few at a time; who comes on top of them is sent away."""

    # Longer than the usual 5: who is not even looked at tries again after a second, then two, then four.
    request_queue_size = 4 * ASKED_AT_ONCE

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(ASKED_AT_ONCE)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: who hangs up before the answer has his reasons."""


def _server_for(host: str) -> type[_Server]:
    if ":" not in host:
        return _Server

    class OnIPv6(_Server):
        address_family = socket.AF_INET6

    return OnIPv6
