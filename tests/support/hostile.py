"""What a camera should never send: pictures that claim to be enormous, and answers without an end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat

import cv2
import numpy as np

# 400 MB as a picture: the most that FFmpeg takes by itself, and over our limit.
ENORMOUS = 16_000
BOUNDARY = "picture"
MJPEG_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary={BOUNDARY}\r\n\r\n".encode()
)


@contextmanager
def sender(first: bytes, then: bytes = b"", times: int | None = 0) -> Iterator[int]:
    """A port whose every caller is sent `first`, then `then` so often, or for ever (None), and is kept."""
    stop = threading.Event()

    def serve(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            peer.recv(4096)
            peer.sendall(first)
            for part in repeat(then) if times is None else repeat(then, times):
                if stop.is_set():
                    return
                peer.sendall(part)
            stop.wait()

    with _served(serve, stop) as port:
        yield port


@contextmanager
def slow(answer: bytes, every_seconds: float = 0.2) -> Iterator[int]:
    """A port whose callers are sent an answer byte by byte."""
    stop = threading.Event()

    def serve(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            peer.recv(4096)
            for byte in answer:
                if stop.wait(every_seconds):
                    return
                peer.sendall(bytes([byte]))

    with _served(serve, stop) as port:
        yield port


@contextmanager
def _served(serve: Callable[[socket.socket], None], stop: threading.Event) -> Iterator[int]:
    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            server.shutdown(socket.SHUT_RDWR)


def part(picture: bytes) -> bytes:
    """One picture of an MJPEG answer."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


def jpeg(width: int, height: int, shade: int = 128) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), shade, np.uint8))[1].tobytes()


def enormous_jpeg() -> bytes:
    """A small one that says that it is ENORMOUS pixels wide and high."""
    data = bytearray(jpeg(64, 64))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = ENORMOUS.to_bytes(2, "big") * 2
    return bytes(data)


def enormous_h264() -> bytes:
    """Parameter sets of a picture ENORMOUS pixels wide and high, and the beginning of one."""
    sequence = b"\x00\x00\x00\x01\x67\x42\xc0\x33" + _bits(
        chain(map(_ue, (0, 0, 0, 0, 1)), "0", map(_ue, (ENORMOUS // 16 - 1,) * 2), "1", "1", "0", "0")
    )
    picture = b"\x00\x00\x00\x01\x68" + _bits(
        chain(map(_ue, (0, 0)), "00", map(_ue, (0, 0, 0)), "000", map(_ue, (0, 0, 0)), "000")
    )
    slice_ = b"\x00\x00\x00\x01\x65" + _bits(chain(map(_ue, (0, 7, 0)), "0000", map(_ue, (0,)), "0000"))
    return sequence + picture + slice_ + bytes(range(1, 200))


def _ue(value: int) -> str:
    """Unsigned exponential Golomb."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _bits(parts: Iterator[str]) -> bytes:
    text = "".join(parts) + "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")
