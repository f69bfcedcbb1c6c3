"""The RTSP server of the development tools, which serves clips over and over, on a free port of loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from facestream.errors import FacestreamError

PATIENCE_SECONDS = 30.0


class RtspServer:
    """Serves the clip at `url` while it is started; each connection sees it from its beginning."""

    def __init__(self, program: str, clip: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self._port}/{clip.name}?play_count=0"
        self._command = [
            program,
            "-d",
            str(clip.parent),
            "-H",
            "127.0.0.1",
            "-p",
            str(self._port),
            "-cp",
            "0",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def program() -> str | None:
        return shutil.which("rtsp-server", path=str(Path(sys.executable).parent))

    def start(self) -> float:
        """Returns when it answers, with the monotonic time at which it was seen to."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1.0):
                return time.monotonic()
            time.sleep(0.002)
        raise FacestreamError("the RTSP server of the development tools does not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
