"""A real HTTP server that gives out weights, well or badly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does. ranges: whether it heeds Range. break_after: bytes sent before it hangs up, one
    entry per request, None for never. endless: sends on and on without a length. together: held before the
    first byte until as many requests are there, or its time is up: so that those who would race do."""

    content: bytes
    ranges: bool = True
    break_after: list[int | None] = field(default_factory=list)
    endless: bool = False
    status: int = 200
    together: threading.Barrier | None = None
    asked: list[str | None] = field(default_factory=list)
    sent_bytes: int = 0


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The address of a server that behaves so, on a port of the system's choice."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, behaviour)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/weights.onnx"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, behaviour: Behaviour) -> None:
    wanted = request.headers.get("Range")
    behaviour.asked.append(wanted)
    if behaviour.together:
        with suppress(threading.BrokenBarrierError):
            behaviour.together.wait()
    if behaviour.status != 200:
        request.send_error(behaviour.status)
        return
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and behaviour.ranges else 0
    if wanted and behaviour.ranges and start >= len(behaviour.content):
        request.send_error(416)
        return
    body = behaviour.content[start:]
    request.send_response(206 if start else 200)
    if start:
        end, size = len(behaviour.content) - 1, len(behaviour.content)
        request.send_header("Content-Range", f"bytes {start}-{end}/{size}")
    if not behaviour.endless:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    limit = behaviour.break_after.pop(0) if behaviour.break_after else None
    _send(request, behaviour, body if limit is None else body[:limit])


def _send(request: BaseHTTPRequestHandler, behaviour: Behaviour, body: bytes) -> None:
    request.close_connection = True
    try:
        while True:
            request.wfile.write(body)
            behaviour.sent_bytes += len(body)
            if not behaviour.endless:
                return
    except OSError:
        return  # the other side has had enough
