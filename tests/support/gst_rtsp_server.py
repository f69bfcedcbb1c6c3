"""A real RTSP server on GStreamer, for the Python that Debian's `gi` belongs to.

    RTSP_PASSWORD=p /usr/bin/python3 gst_rtsp_server.py clip.h264 --fps 25 --auth digest --user u

The clip is raw H.264 whose every picture begins with an access unit delimiter; a .json of the same name
holds the number under which each is shown, which with B-frames is not that of its turn. It is sent at its own
pace, over and over, from where the clock stands: all who watch see the same picture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import threading
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

DELIMITER = b"\x00\x00\x00\x01\x09"
LAUNCH = (
    "( appsrc name=src is-live=true block=true format=time "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse config-interval=-1 "
    "! rtph264pay name=pay0 pt=96 )"
)


def main() -> None:
    options = _options()
    Gst.init(None)
    pictures = _split(options.clip.read_bytes())
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(LAUNCH)
    factory.set_shared(True)
    transport = GstRtsp.RTSPLowerTrans.UDP if options.transport == "udp" else GstRtsp.RTSPLowerTrans.TCP
    factory.set_protocols(transport)
    factory.connect("media-configure", lambda _factory, media: Feed(media, pictures, options).start())
    if options.auth != "none" or options.certificate:
        _protect(server, factory, options)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    GLib.MainLoop().run()


class Feed:
    """Pushes the pictures into one media at their pace, until it is torn down.

    corrupt_every: of every so many pictures one is damaged. silent_after: so many are sent, then
    none: connected, without a frame.
    """

    def __init__(self, media: object, pictures: list[bytes], options: argparse.Namespace) -> None:
        self._source = media.get_element().get_by_name_recurse_up("src")
        self._pictures, self._options = pictures, options
        self._order = json.loads(options.clip.with_suffix(".json").read_text())

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        step = Gst.SECOND / self._options.fps
        began = time.monotonic()
        for number in itertools.count():
            if number == self._options.silent_after:
                return
            time.sleep(max(0.0, began + number / self._options.fps - time.monotonic()))
            buffer = Gst.Buffer.new_wrapped(self._picture(number))
            rounds, turn = divmod(number, len(self._pictures))
            shown = rounds * len(self._pictures) + self._order[turn]
            # Nothing may be shown before it is sent.
            buffer.dts, buffer.pts = int(number * step), int((shown + 2) * step)
            buffer.duration = int(step)
            if self._source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return

    def _picture(self, number: int) -> bytes:
        picture = self._pictures[number % len(self._pictures)]
        every = self._options.corrupt_every
        if not every or number % every:
            return picture
        # The slice's header stays, or a parser would throw it away before it is sent.
        half = len(picture) // 2
        return picture[:half] + bytes(byte ^ 0x5A for byte in picture[half:])


def _split(stream: bytes) -> list[bytes]:
    return [DELIMITER + rest for rest in stream.split(DELIMITER)[1:]]


def _protect(server: object, factory: object, options: argparse.Namespace) -> None:
    password = os.environ["RTSP_PASSWORD"]
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth.new()
    if options.certificate:
        certificate = Gio.TlsCertificate.new_from_files(str(options.certificate), str(options.key))
        auth.set_tls_certificate(certificate)
    if options.auth == "none":
        auth.set_default_token(token)
    elif options.auth == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, password, token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.set_auth(auth)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
    parser.add_argument("--user", default="viewer")
    parser.add_argument("--transport", choices=["tcp", "udp"], default="tcp")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--corrupt-every", type=int, default=0)
    parser.add_argument("--silent-after", type=int, default=-1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
