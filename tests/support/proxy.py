"""A proxy between clients and a real server that spoils single requests, as networks do."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import Literal, Self
from urllib.parse import urlsplit

from facestream.bus.connection import script

# lose: the server does it, the client never hears. cut: the line breaks in the middle of the reply.
# delay: the server gets it late, even if the client has given up. duplicate: the server gets it twice.
# refuse: the line breaks before the server gets anything.
Kind = Literal["lose", "cut", "delay", "duplicate", "refuse"]
Request = bytes
"""A command as it is sent."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    seconds: float = 0.0


class FaultProxy:
    """Stands for a server, on the same kind of socket, at `url`; one request at a time on each line.

    fault_for: asked for every request, from the lines' threads; may be replaced at any time.
    """

    def __init__(self, server_url: str, fault_for: Callable[[Request], Fault | None] | None = None) -> None:
        self.fault_for = fault_for or (lambda _request: None)
        self._is_cut = False
        self._folder = tempfile.TemporaryDirectory(prefix="fsproxy-")
        parts = urlsplit(server_url)
        is_unix = parts.scheme == "unix"
        self._family = socket.AF_UNIX if is_unix else socket.AF_INET
        self._server = parts.path if is_unix else (parts.hostname, parts.port)
        self._door = socket.socket(self._family)
        self._door.bind(f"{self._folder.name}/s" if is_unix else ("127.0.0.1", 0))
        self._door.listen(128)
        name = self._door.getsockname()
        self.url = f"unix://{name}" if is_unix else f"redis://127.0.0.1:{name[1]}"
        self._lines: set[socket.socket] = set()
        threading.Thread(target=self._admit, daemon=True).start()

    def inject(self, *faults: Fault, to: Callable[[Request], bool]) -> threading.Event:
        """Spoil the next requests that `to` picks, one fault each; the event is set with the last."""
        done, left, lock = threading.Event(), list(faults), threading.Lock()

        def choose(request: Request) -> Fault | None:
            with lock:
                fault = left.pop(0) if left and to(request) else None
                if not left:
                    done.set()
                return fault

        self.fault_for = choose
        return done

    def cut(self) -> None:
        """Break every line; until `mend` new ones are broken at once."""
        self._is_cut = True
        for line in list(self._lines):
            _hang_up(line)

    @property
    def is_cut(self) -> bool:
        return self._is_cut

    def mend(self) -> None:
        self._is_cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.cut()
        _hang_up(self._door)
        self._door.close()
        self._folder.cleanup()

    def _admit(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._carry, args=(self._door.accept()[0],), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.socket(self._family)
        self._lines.update((client, server))
        with client, server, suppress(OSError, EOFError), client.makefile("rb") as asked:
            if not self._is_cut:
                server.connect(self._server)
                with server.makefile("rb") as answered:
                    while self._exchange(client, server, _read(asked), answered):
                        pass
        self._lines.difference_update((client, server))

    def _exchange(
        self, client: socket.socket, server: socket.socket, raw: bytes, answered: BufferedReader
    ) -> bool:
        """One request and its reply; False when the line is to break."""
        fault = self.fault_for(raw) or Fault("delay")
        if fault.kind == "refuse":
            return False
        time.sleep(fault.seconds)
        for _ in range(2 if fault.kind == "duplicate" else 1):
            server.sendall(raw)
            reply = _read(answered)
        heard = {"lose": 0, "cut": len(reply) // 2}.get(fault.kind, len(reply))
        client.sendall(reply[:heard])
        return heard == len(reply)


def calls(name: str) -> Callable[[Request], bool]:
    """Picks the calls of one of the bus's scripts."""
    sha = script(name).sha.encode()
    return lambda request: sha in request[:100]


def _read(stream: BufferedReader) -> bytes:
    """The bytes of one request, or of one reply of RESP 2 or 3; EOFError at the end."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, size = line[:1], line[1:-2]
    if kind in b"$=!" and size != b"-1":
        data = stream.read(int(size) + 2)
        if len(data) < int(size) + 2:
            raise EOFError
        return line + data
    if kind in b"*~>%" and size != b"-1":
        return line + b"".join(_read(stream) for _ in range(int(size) * (2 if kind == b"%" else 1)))
    return line


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
