"""A real server that can be killed and started again, with its data or without."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from facestream import broker_watch
from facestream.broker import server_binary

PATIENCE_SECONDS = 30.0


class KeptServer:
    """A server on a unix socket in a private folder; `keeps` what it was given with `appendfsync always`.

    It ends with this process, however that ends.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fskept-")
        self._socket = f"{self._folder.name}/s"
        self.url = f"unix://{self._socket}"
        self._command = [str(server_binary()), "--port", "0", "--unixsocket", self._socket]
        self._command += ["--dir", self._folder.name, "--save", "", "--maxmemory-policy", "noeviction"]
        self._command += ["--appendonly", "yes" if keeps else "no", "--appendfsync", "always"]
        self.start()

    def start(self) -> None:
        """Start it, on the data that were left; returns when it answers."""
        # The watch removes a folder of its own, not the data.
        scratch = tempfile.mkdtemp(dir=self._folder.name)
        command = [sys.executable, "-I", "-S", broker_watch.__file__, scratch, *self._command]
        self._watch = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._watch.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start ({self._watch.poll()})")
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        for server in psutil.Process(self._watch.pid).children():
            server.kill()
        self._watch.wait()
        assert self._watch.stdin is not None
        self._watch.stdin.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _answers(self) -> bool:
        if not Path(self._socket).exists():
            return False
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.settimeout(1.0)
            probe.connect(self._socket)
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        return False
