"""Fetches what an HLS playlist names, for FFmpeg: the policy is asked of every address, all is bounded."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
import string
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from av import error as ffmpeg

from facestream.address_policy import AddressPolicy
from facestream.errors import SourceBroken, SourceError, SourceUnreadable, UsageError
from facestream_producer.camera_errors import Address, CameraUnreachable, explain, silent
from facestream_producer.playlist_times import SegmentClock, segment_times

MAX_PLAYLIST_BYTES: Final = 1 << 20
# Of each line FFmpeg makes an address of its own, as long as the playlist's.
MAX_PLAYLIST_LINES: Final = 20_000
MAX_SEGMENT_BYTES: Final = 32 << 20
# Renditions of one stream; FFmpeg asks for all of them before it begins.
MAX_PLAYLISTS: Final = 16
# Whose segments' times are kept; those that are not read are asked for only once.
_TIMED_PLAYLISTS: Final = 2
# A live playlist drops what is old, so a slow reader misses some; one that names nothing else is broken.
MAX_MISSED: Final = 8
# The first answer for so long at least: a playlist may ask to be read again without a pause.
LEAST_PAUSE_SECONDS: Final = 0.2
_CHUNK_BYTES: Final = 64 << 10
_PLAYLIST_SUFFIXES: Final = (".m3u8", ".m3u")
_PORTS: Final = {"http": 80, "https": 443}
_TOLD_APART: Final[dict[int, type[ffmpeg.FFmpegError]]] = {
    HTTPStatus.UNAUTHORIZED: ffmpeg.HTTPUnauthorizedError,
    HTTPStatus.FORBIDDEN: ffmpeg.HTTPForbiddenError,
    HTTPStatus.NOT_FOUND: ffmpeg.HTTPNotFoundError,
}
# For FFmpeg: it shall come here for everything, and not keep a connection it does not have.
OPTIONS: Final = {"http_persistent": "0", "http_multiple": "0", "max_reload": "1000"}


def is_playlist(address: str) -> bool:
    """Whether an http address is an HLS playlist's, by the end of its path."""
    return urlsplit(address).path.lower().endswith(_PLAYLIST_SUFFIXES)


class Fetcher:
    """Opens addresses as FFmpeg asks for them; to be given to `av.open` as `io_open`.

    It never raises: PyAV would keep the error for whatever is called next. What went wrong first is in
    `failure`, without a credential, and from then on there is nothing to be read any more.
    """

    def __init__(
        self, url: Address, policy: AddressPolicy, wait_seconds: float, whole_seconds: float
    ) -> None:
        """wait_seconds: for an answer, and between two parts of one. whole_seconds: for all of it, and for
        all that is asked for before there is a packet.
        """
        self._url, self._policy = url, policy
        self._wait_seconds, self._whole_seconds = wait_seconds, whole_seconds
        self._asked_at: dict[str, float] = {}
        self._times: dict[str, dict[str, int]] = {}
        self.clock = SegmentClock()
        self._missed = 0
        self._answered = False
        self.failure: SourceError | None = None
        self.begin()

    def begin(self) -> None:
        """FFmpeg is to read a packet now; it would look for one in ever more segments that hold none."""
        self._since = time.monotonic()

    def __call__(self, address: str, _flags: int, options: dict[str, str]) -> io.BytesIO:
        if self.failure is None:
            try:
                return io.BytesIO(self._fetch(address, options))
            except SourceError as failure:
                self.failure = failure
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failure = self._explain(error)
        return io.BytesIO()

    def _fetch(self, address: str, options: dict[str, str]) -> bytes:
        if time.monotonic() - self._since > self._whole_seconds:
            raise TimeoutError
        place = urlsplit(address)
        if place.scheme.startswith("crypto"):
            raise SourceUnreadable(f"{self._url}: its segments are encrypted, which is not read")
        if place.scheme not in _PORTS or not place.hostname:
            raise SourceUnreadable(f"{self._url} refers to a place that is not read from a camera")
        playlist = is_playlist(address) or not self._asked_at
        if playlist:
            self._pause(address)
        connection = self._connect(place)
        with closing(connection), _at_most(self._whole_seconds, connection.sock):
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            connection.request("GET", _target(place), headers=self._headers(place, options))
            with connection.getresponse() as response:
                body = self._body(response, playlist)
        if playlist:
            self._note_times(address, body)
        elif body:
            self.clock.segment(self._time_of(address))
        return body

    def _note_times(self, address: str, playlist: bytes) -> None:
        self._times.pop(address, None)
        self._times[address] = segment_times(address, playlist)
        if len(self._times) > _TIMED_PLAYLISTS:
            del self._times[next(iter(self._times))]

    def _time_of(self, segment: str) -> int | None:
        return next((times[segment] for times in self._times.values() if segment in times), None)

    def _pause(self, address: str) -> None:
        since = time.monotonic() - self._asked_at.get(address, float("-inf"))
        time.sleep(max(0.0, LEAST_PAUSE_SECONDS - since))
        self._asked_at[address] = time.monotonic()
        if len(self._asked_at) > MAX_PLAYLISTS:
            raise SourceUnreadable(f"{self._url} refers to more than {MAX_PLAYLISTS} playlists")

    def _connect(self, place: SplitResult) -> http.client.HTTPConnection:
        """To an address that was asked of the policy, and not to what the name leads to a moment later."""
        host, port = place.hostname or "", place.port or _PORTS[place.scheme]
        try:
            found = self._policy.check_resolved(f"[{host}]" if ":" in host else host)
        except UsageError as error:
            what = f"{self._url} refers to a place that may not be reached"
            raise SourceUnreadable(f"{what}: {error}") from None
        if not found:
            raise CameraUnreachable(f"{self._url} refers to a host whose name is not known now")
        connection = http.client.HTTPConnection(host, port, timeout=self._wait_seconds)
        plain = self._reach(found, port)
        try:
            connection.sock = self._secured(plain, host) if place.scheme == "https" else plain
        except BaseException:
            plain.close()
            raise
        return connection

    def _reach(self, addresses: Sequence[str], port: int) -> socket.socket:
        for address in addresses[:-1]:
            with suppress(OSError):
                return socket.create_connection((address, port), self._wait_seconds)
        return socket.create_connection((addresses[-1], port), self._wait_seconds)

    def _secured(self, plain: socket.socket, host: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self._policy.camera_ca)
        if self._policy.camera_ca is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)

    def _headers(self, place: SplitResult, options: dict[str, str]) -> dict[str, str]:
        """The camera's password goes to the camera alone; ranges are a playlist's wish."""
        headers = {"User-Agent": "facestream", "Accept": "*/*", "Connection": "close"}
        own = urlsplit(self._url.reveal())
        door = own if place.username is None and _server(place) == _server(own) else place
        if door.username is not None:
            userinfo = f"{unquote(door.username)}:{unquote(door.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(userinfo.encode()).decode()
        first, end = int(options.get("offset", 0)), int(options.get("end_offset", 0))
        if first or end:
            headers["Range"] = f"bytes={first}-{end - 1 if end else ''}"
        return headers

    def _body(self, response: http.client.HTTPResponse, playlist: bool) -> bytes:
        if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            self._refuse(response.status, playlist)
            return b""
        most, body = MAX_PLAYLIST_BYTES if playlist else MAX_SEGMENT_BYTES, bytearray()
        while part := response.read1(_CHUNK_BYTES):
            body += part
            if len(body) > most:
                what = "playlist" if playlist else "segment"
                raise SourceUnreadable(f"{self._url}: a {what} is larger than {most >> 20} MiB")
        if playlist and body.count(b"\n") > MAX_PLAYLIST_LINES:
            raise SourceUnreadable(f"{self._url}: a playlist has more than {MAX_PLAYLIST_LINES} lines")
        self._missed = self._missed if playlist else 0
        self._answered = True
        return bytes(body)

    def _refuse(self, status: int, playlist: bool) -> None:
        """Raises, unless it is a segment that is there no more."""
        if 300 <= status < 400:
            raise CameraUnreachable(f"{self._url} redirects to another place, which is not followed")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or (playlist and status in _TOLD_APART):
            raise explain(_TOLD_APART[status](0, ""), self._url)
        self._missed += 1
        if playlist or self._missed > MAX_MISSED:
            what = "its playlist" if playlist else "its segments"
            raise SourceBroken(f"{self._url}: {what} cannot be had (HTTP status {status})")

    def _explain(self, error: Exception) -> SourceError:
        if isinstance(error, socket.gaierror | ValueError) and not isinstance(error, ssl.SSLError):
            return SourceUnreadable(f"{self._url} refers to a place that is no address")
        if isinstance(error, TimeoutError) and self._answered:
            return silent(self._url)
        return explain(error, self._url, isinstance(error, TimeoutError))


@contextmanager
def _at_most(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Ends a connection after so long; one that sends a byte now and then is never late by itself."""
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError


def _target(place: SplitResult) -> str:
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    return quote(target, safe=string.punctuation)


def _server(place: SplitResult) -> tuple[str, str | None, int]:
    return place.scheme, place.hostname, place.port or _PORTS[place.scheme]
