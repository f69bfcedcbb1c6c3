"""A camera on loopback that cuts every connection short: video over HTTP, a little of it, then nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"


@dataclass(slots=True)
class CutServer:
    """url: where. answered: connections it sent something to. stream: of which it sends less every time."""

    stream: bytes
    url: str = ""
    answered: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        while not self._stop.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    self._answer(connection)

    def stop(self) -> None:
        self._stop.set()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5.0)
        connection.recv(4096)
        # All of it, then half, a tenth, a broken head, nothing: a camera may go at any moment.
        part = (1.0, 0.5, 0.1, 0.001, 0.0)[self.answered % 5]
        self.answered += 1
        if part:
            connection.sendall(_HEAD + self.stream[: round(len(self.stream) * part)])


@contextmanager
def cut_server(stream: bytes) -> Iterator[CutServer]:
    server = CutServer(stream)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/camera.ts"
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()
