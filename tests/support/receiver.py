"""A real HTTP server that takes webhooks as a test wants it to, and can be stopped and started again."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.certificates import Certificate
from support.ports import free_port


@dataclass(frozen=True, slots=True)
class Call:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def records(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["records"])


@dataclass
class Receiver:
    """Answers each call with the status that `judge` gives it, and remembers those that it took (2xx)."""

    judge: Callable[[Call], int] = lambda _: 204
    headers: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    calls: list[Call] = field(default_factory=list)
    taken: list[Call] = field(default_factory=list)
    certificate: Certificate | None = None
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}/hook?token=sesame"

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for call in list(self.taken) for record in call.records]

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate.path, self.certificate.key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            call = Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.calls.append(call)
            status = receiver.judge(call)
            if 200 <= status < 300:
                receiver.taken.append(call)
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def handle(self) -> None:
            with suppress(ssl.SSLError):  # a caller who does not trust us
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
