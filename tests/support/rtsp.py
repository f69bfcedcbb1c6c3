"""Real RTSP servers on loopback that can be killed, started again, and frozen.

Two of them: aio-rtsp-toolkit from PyPI, which is always there (TCP only, no passwords), and GStreamer's
from Debian's packages, with basic and digest authentication, TCP and UDP, damaged and silent streams.
Neither outlives this process, however that ends.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import av
import psutil

from facestream import broker_watch
from support.certificates import Certificate
from support.clips import make_clip
from support.ports import free_port

PATIENCE_SECONDS = 30.0
SIZE = (320, 240)
# Two seconds; twice eight bits' worth would not fit the number in every picture.
CLIP_FRAMES = 50
CLIP_FPS = 25
# Two of three pictures are ones that no other is made from.
B_FRAMES = {"x264-params": "bframes=2:b-adapt=0:b-pyramid=none:scenecut=0"}
DEBIAN_PYTHON = "/usr/bin/python3"
GST_PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0",
    "gir1.2-gstreamer-1.0",
    "glib-networking",
    "python3-gi",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
)


class RtspServer:
    """A server on a free port, serving a clip of numbered pictures over and over; `url` is where.

    command: what starts it, with PORT where the port goes.
    """

    def __init__(
        self, command: list[str], path: str, environment: dict[str, str] | None = None, *, tls: bool = False
    ) -> None:
        self.port = free_port()
        self.path = path
        self._tls = tls
        self._command = [part.replace("PORT", str(self.port)) for part in command]
        self._environment = os.environ | (environment or {})
        self._folder = tempfile.TemporaryDirectory(prefix="fsrtsp-")
        self._log = Path(self._folder.name) / "log"
        self.start()

    @property
    def url(self) -> str:
        return self.url_with("")

    def url_with(self, userinfo: str) -> str:
        """The address; `userinfo` is `user:password`, percent-encoded."""
        scheme = "rtsps" if self._tls else "rtsp"
        return f"{scheme}://{userinfo + '@' if userinfo else ''}127.0.0.1:{self.port}/{self.path}"

    def start(self) -> None:
        """Returns when it answers."""
        scratch = tempfile.mkdtemp(dir=self._folder.name)
        command = [sys.executable, "-I", "-S", broker_watch.__file__, scratch, *self._command]
        with self._log.open("ab") as log:
            self._watch = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._watch.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the RTSP server did not start: {self._log.read_text()[-500:]}")
            time.sleep(0.01)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._signal(signal.SIGKILL)
        self._watch.wait()
        assert self._watch.stdin is not None
        self._watch.stdin.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        if self._watch.poll() is None:
            self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(psutil.NoSuchProcess):
            for server in psutil.Process(self._watch.pid).children():
                server.send_signal(number)

    def _answers(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1.0) as plain,
            _unchecked().wrap_socket(plain) if self._tls else plain as probe,
        ):
            probe.settimeout(1.0)
            probe.sendall(f"OPTIONS {self.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
            return probe.recv(8) == b"RTSP/1.0"
        return False


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def aio_server(folder: Path) -> RtspServer:
    """The server from PyPI; each connection sees the clip in `folder` from its beginning."""
    name = "clip.mp4"
    if not (folder / name).exists():
        make_clip(folder / name, frames=CLIP_FRAMES, size=SIZE, options={"bf": "0"})
    program = shutil.which("rtsp-server", path=str(Path(sys.executable).parent))
    assert program is not None, "aio-rtsp-toolkit is not installed: pip install --group dev"
    command = [program, "-d", str(folder), "-H", "127.0.0.1", "-p", "PORT", "-cp", "0"]
    return RtspServer(command, f"{name}?play_count=0")


def gst_server(
    folder: Path,
    *options: str,
    password: str = "",
    b_frames: bool = False,
    fps: int = CLIP_FPS,
    certificate: Certificate | None = None,
) -> RtspServer:
    """GStreamer's server; options as gst_rtsp_server.py has them, the user is `viewer`.

    certificate: it speaks rtsps with it.
    """
    clip = folder / f"clip-{b_frames}.h264"
    if not clip.exists():
        _make_stream(clip, B_FRAMES if b_frames else {"bf": "0"})
    program = str(Path(__file__).parent / "gst_rtsp_server.py")
    command = [DEBIAN_PYTHON, program, str(clip), "--port", "PORT", "--fps", str(fps), *options]
    if certificate is not None:
        command += ["--certificate", str(certificate.path), "--key", str(certificate.key)]
    return RtspServer(command, "live", {"RTSP_PASSWORD": password}, tls=certificate is not None)


def _make_stream(path: Path, how: dict[str, str]) -> None:
    """Raw H.264 with delimiters, and beside it the order in which its pictures are shown."""
    whole = make_clip(path.with_suffix(".mkv"), frames=CLIP_FRAMES, size=SIZE, options=how | {"aud": "1"})
    with av.open(str(whole)) as source, av.open(str(path), "w", format="h264") as raw:
        stream = raw.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        order = sorted(packet.pts or 0 for packet in packets)
        path.with_suffix(".json").write_text(json.dumps([order.index(packet.pts or 0) for packet in packets]))
        for packet in packets:
            packet.stream = stream
            raw.mux(packet)


@functools.cache
def gst_missing() -> str | None:
    """Why GStreamer's server cannot be used here; None when it can."""
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        done = subprocess.run([DEBIAN_PYTHON, "-c", code], capture_output=True, timeout=60, check=False)
    except OSError:
        return f"needs {DEBIAN_PYTHON}"
    return None if done.returncode == 0 else f"needs GStreamer: apt-get install {' '.join(GST_PACKAGES)}"
