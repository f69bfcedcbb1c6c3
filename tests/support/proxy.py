"""A proxy between clients and a real server that spoils single requests: what networks do, on demand.

It speaks RESP just enough to know where a request or a reply ends. One thread a connection, one request
at a time, as the clients behave.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader
from typing import Literal, Self
from urllib.parse import urlsplit

# lose: the server does it, the client never hears. cut: the line breaks in the middle of the reply.
# delay: the server gets it late, even if the client has given up. duplicate: the server gets it twice.
# refuse: the line breaks before the server gets anything.
Kind = Literal["lose", "cut", "delay", "duplicate", "refuse"]
Request = list[bytes]


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    seconds: float = 0.0


class FaultProxy:
    """Listens beside the server it stands for, on the same kind of socket; `url` is where.

    fault_for: asked for every request, from the connections' threads; settable at any time.
    Between `cut` and `mend` nobody gets through.
    """

    def __init__(self, server_url: str, fault_for: Callable[[Request], Fault | None] | None = None) -> None:
        self.fault_for = fault_for or (lambda _request: None)
        self._is_cut = False
        self._folder = tempfile.TemporaryDirectory(prefix="fsproxy-")
        parts = urlsplit(server_url)
        self._family = socket.AF_UNIX if parts.scheme == "unix" else socket.AF_INET
        self._server = parts.path if parts.scheme == "unix" else (parts.hostname, parts.port)
        self._door = socket.socket(self._family)
        self._door.bind(f"{self._folder.name}/s" if parts.scheme == "unix" else ("127.0.0.1", 0))
        self._door.listen(128)
        name = self._door.getsockname()
        self.url = f"unix://{name}" if parts.scheme == "unix" else f"redis://127.0.0.1:{name[1]}"
        self._lines: set[socket.socket] = set()
        threading.Thread(target=self._admit, daemon=True).start()

    def inject(
        self, *faults: Fault, to: Callable[[Request], bool] = lambda _request: True
    ) -> threading.Event:
        """Spoil the next requests that `to` picks, one fault each; the event is set with the last."""
        done, left, lock = threading.Event(), list(faults), threading.Lock()

        def choose(request: Request) -> Fault | None:
            with lock:
                if not left or not to(request):
                    return None
                fault = left.pop(0)
                if not left:
                    done.set()
                return fault

        self.fault_for = choose
        return done

    def cut(self) -> None:
        """Break every line; new ones are broken at once."""
        self._is_cut = True
        for line in list(self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _admit(self) -> None:
        with contextlib.suppress(OSError):
            for number in itertools.count():
                client, _ = self._door.accept()
                threading.Thread(
                    target=self._carry, args=(client,), name=f"line-{number}", daemon=True
                ).start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.socket(self._family)
        self._lines.update((client, server))
        with client, server, contextlib.suppress(OSError, EOFError):
            if self._is_cut:
                return
            server.connect(self._server)
            with client.makefile("rb") as asked, server.makefile("rb") as answered:
                while self._exchange(client, server, asked, answered):
                    pass
        self._lines.difference_update((client, server))

    def _exchange(
        self, client: socket.socket, server: socket.socket, asked: BufferedReader, answered: BufferedReader
    ) -> bool:
        """One request and its reply; False when the line breaks."""
        raw, request = read_request(asked)
        fault = self.fault_for(request) or Fault("delay")
        if fault.kind == "refuse":
            return False
        time.sleep(fault.seconds)
        for _ in range(2 if fault.kind == "duplicate" else 1):
            server.sendall(raw)
            reply = read_reply(answered)
        if fault.kind in ("lose", "cut"):
            client.sendall(reply[: len(reply) // 2] if fault.kind == "cut" else b"")
            return False
        client.sendall(reply)
        return True


def read_request(stream: BufferedReader) -> tuple[bytes, Request]:
    """The bytes of a command, and its words; EOFError at the end."""
    raw = read_reply(stream)
    words, at = [], raw.index(b"\r\n") + 2
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        size = int(raw[at + 1 : end])
        words.append(raw[end + 2 : end + 2 + size])
        at = end + size + 4
    return raw, words


def read_reply(stream: BufferedReader) -> bytes:
    """The bytes of one reply of RESP 2 or 3; EOFError at the end."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, about = line[:1], line[1:-2]
    if kind in b"$=!" and about != b"-1":
        return line + _read_exactly(stream, int(about) + 2)
    if kind in b"*~>%" and about != b"-1":
        count = int(about) * (2 if kind == b"%" else 1)
        return line + b"".join(read_reply(stream) for _ in range(count))
    return line


def _read_exactly(stream: BufferedReader, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def calls(name: str) -> Callable[[Request], bool]:
    """Picks the calls of one of the bus's scripts, by its name, or of a plain command."""
    from facestream.bus.connection import script

    wanted = name.upper().encode() if name.isupper() else script(name).sha.encode()
    return lambda request: wanted in (request[0], request[1] if len(request) > 1 else b"")
