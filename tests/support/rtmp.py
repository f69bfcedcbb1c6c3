"""A real RTMP server on loopback: nginx with its rtmp module, and a camera that sends to it."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from facestream_producer.packets import VideoPacket
from support.rtsp import CLIP_FPS, RtspServer

# Where `make rtmp` unpacks it.
NGINX = Path(sys.prefix) / "nginx"
PROGRAM = NGINX / "usr/sbin/nginx"
MODULE = NGINX / "usr/lib/nginx/modules/ngx_rtmp_module.so"
SETTINGS = """
daemon off; master_process off; pid {folder}/pid; load_module {module};
events {{}}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{ live on; wait_key on; }} }} }}
"""


def rtmp_missing() -> str | None:
    """Why nginx cannot be used here; None when it can."""
    return None if PROGRAM.exists() and MODULE.exists() else "needs nginx with RTMP: make rtmp"


class RtmpServer(RtspServer):
    """nginx, at `url`; nobody sends to it yet."""

    def __init__(self, folder: Path) -> None:
        self._settings = folder / "nginx.conf"
        super().__init__(
            [str(PROGRAM), "-e", "stderr", "-p", str(folder), "-c", str(self._settings)], "live/cam"
        )

    def url_with(self, userinfo: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/{self.path}"

    def start(self) -> None:
        folder = self._settings.parent
        self._settings.write_text(SETTINGS.format(folder=folder, module=MODULE, port=self.port))
        super().start()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False


@contextmanager
def sending(clip: Path, server: RtmpServer) -> Iterator[None]:
    """Send a clip to the server at its own pace, over and over, as a camera does; anew when cut off."""
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            with suppress(FFmpegError):
                _send(clip, server.url, stop)
            stop.wait(0.05)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _send(clip: Path, url: str, stop: threading.Event) -> None:
    with av.open(str(clip)) as source, av.open(url, "w", format="flv") as camera:
        template = source.streams.video[0]
        stream = camera.add_stream_from_template(template)
        packets = [packet for packet in source.demux(template) if packet.dts is not None]
        length = round(len(packets) / CLIP_FPS / float(template.time_base or 1))
        began, sent = time.monotonic(), 0
        while not stop.wait(max(0.0, began + sent / CLIP_FPS - time.monotonic())):
            rounds, turn = divmod(sent, len(packets))
            camera.mux(_shifted(packets[turn], rounds * length, stream))
            sent += 1


def _shifted(packet: VideoPacket, ticks: int, stream: VideoStream) -> VideoPacket:
    """A copy, since sending a packet changes its times."""
    copy: VideoPacket = av.Packet(bytes(packet))
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    copy.dts, copy.pts = (packet.dts or 0) + ticks, (packet.pts or 0) + ticks
    copy.stream = stream
    return copy
