"""Real HTTP servers on loopback that send pictures as network cameras do."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2

from support.certificates import Certificate
from support.clips import numbered

BOUNDARY = "picture"
FPS = 25


@dataclass(slots=True)
class WebCamera:
    """Serves `files` by path, and at /mjpeg numbered pictures at `FPS` a second without end.

    password: asked for everywhere, the user being `viewer`. asked, doors: paths and passwords, in order.
    endless: what is sent over and over at /endless.ts. silent: a path at which nothing is answered.
    """

    files: Mapping[str, bytes | Callable[[], bytes]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    password: str | None = None
    endless: bytes = b""
    silent: str | None = None
    asked: list[str] = field(default_factory=list)
    doors: list[str | None] = field(default_factory=list)
    url: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def web_camera(
    camera: WebCamera | None = None, port: int = 0, certificate: Certificate | None = None
) -> Iterator[WebCamera]:
    camera = camera or WebCamera()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(camera))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    camera.url = f"http://127.0.0.1:{server.server_port}"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        camera.url = camera.url.replace("http", "https")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield camera
    finally:
        camera.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


class LivePlaylist:
    """A window of `files`' playlist that moves on by one segment whenever it is asked for."""

    def __init__(self, files: Mapping[str, bytes], window: int) -> None:
        lines = files["/live.m3u8"].decode().splitlines()
        self._entries = [
            f"{lines[at]}\n{lines[at + 1]}\n" for at, line in enumerate(lines) if line.startswith("#EXTINF")
        ]
        self._window, self._first = window, 0

    def __call__(self) -> bytes:
        first = self._first
        self._first = min(first + 1, len(self._entries) - self._window)
        head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        return (head + "".join(self._entries[first : first + self._window])).encode()


def hls_files(
    clip: Path, folder: Path, *, seconds: float = 1.0, single_mp4: bool = False, dated: bool = False
) -> dict[str, bytes]:
    """A clip cut into a playlist `/live.m3u8` and its segments, or into parts of one MP4."""
    how = {"hls_time": str(seconds), "hls_list_size": "0", "hls_segment_filename": str(folder / "s%d.ts")}
    if dated:
        how["hls_flags"] = "program_date_time"
    if single_mp4:
        how |= {"hls_segment_type": "fmp4", "hls_flags": "single_file"}
        how["hls_segment_filename"] = str(folder / "s.m4s")
    with (
        av.open(str(clip)) as source,
        av.open(str(folder / "live.m3u8"), "w", format="hls", options=how) as playlist,
    ):
        stream = playlist.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                playlist.mux(packet)
    kinds = (".ts", ".m3u8", ".m4s")
    return {f"/{path.name}": path.read_bytes() for path in folder.iterdir() if path.suffix in kinds}


def _handler(camera: WebCamera) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            camera.asked.append(self.path)
            camera.doors.append(self.headers.get("Authorization"))
            if camera.password is not None and not self._let_in(camera.password):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
            elif self.path in camera.redirects:
                self.send_response(302)
                self.send_header("Location", camera.redirects[self.path])
                self.end_headers()
            elif self.path == "/mjpeg":
                self._send_pictures()
            elif self.path == "/endless.ts":
                self._send_without_end()
            elif self.path == camera.silent:
                camera.stop.wait()
            elif self.path in camera.files:
                body = camera.files[self.path]
                self._send_file(body if isinstance(body, bytes) else body())
            else:
                self.send_error(404)

        def _let_in(self, password: str) -> bool:
            kind, _, given = self.headers.get("Authorization", "").partition(" ")
            return kind == "Basic" and base64.b64decode(given) == f"viewer:{password}".encode()

        def _send_without_end(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while not camera.stop.is_set():
                    self.wfile.write(camera.endless)

        def _send_file(self, body: bytes) -> None:
            asked = self.headers.get("Range", "").removeprefix("bytes=")
            if asked:
                first, _, last = asked.partition("-")
                body = body[int(first) : int(last) + 1 if last else None]
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body)))
            if self.path.endswith(".m3u8"):
                self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(body)

        def _send_pictures(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            began, number = time.monotonic(), 0
            try:
                while not camera.stop.wait(max(0.0, began + number / FPS - time.monotonic())):
                    jpeg = cv2.imencode(".jpg", numbered(number % 50, 320, 240))[1].tobytes()
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number += 1
            except OSError:
                return

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler
