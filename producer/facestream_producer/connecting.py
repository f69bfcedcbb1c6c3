"""Opens a camera on the network: bounded in time, over few protocols, with errors that keep secrets."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from typing import Literal, Protocol

import av
from av import error as ffmpeg
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from facestream.address_policy import AddressPolicy
from facestream.errors import SourceBroken, SourceError, SourceMissing, SourceUnreadable, UsageError
from facestream_producer.container import video_stream
from facestream_producer.source import MAX_PIXELS

Transport = Literal["tcp", "udp"]
OPEN_SECONDS = 5.0


class Address(Protocol):
    """A camera's address: `str` may be shown to anybody, `reveal()` to nobody but the camera."""

    scheme: str
    host: str | None

    def reveal(self) -> str: ...


class CameraUnauthorized(SourceError):
    """It is there and does not let us in."""


class CameraNotFound(SourceMissing):
    """The machine is there, and has no such stream."""


class CameraUnreachable(SourceError):
    """Nobody answers, or not in time."""


@dataclass(frozen=True, slots=True)
class _Way:
    """What FFmpeg may use for a scheme: its protocols and its formats, and nothing else."""

    protocols: str
    formats: str
    options: tuple[tuple[str, str], ...] = ()


# `file`, `data`, `concat`, `pipe` and the like are in none: neither a camera nor a playlist it sends can
# make us read this machine. Formats that name other addresses are absent too (sdp, dash, concat), except
# HLS, which is nothing else.
_WEB = _Way(
    "http,https,tcp,tls,crypto",
    "hls,mpjpeg,mjpeg,mpegts,flv,live_flv,mov,matroska,h264,hevc,aac,mp3",
    # Where a camera redirects to is nobody's wish but the camera's.
    (("max_redirects", "0"), ("seekable", "0"), ("live_start_index", "-2")),
)
_RTSP = (("allowed_media_types", "video"),)
_RTMP = _Way("rtmp,rtmps,rtmpt,rtmpe,tcp,tls,http", "flv,live_flv")
_WAYS = {
    "rtsp": _Way("rtsp,rtp,tcp,udp", "rtsp", _RTSP),
    "rtsps": _Way("rtsp,rtp,tcp,tls", "rtsp", _RTSP),
    "http": _WEB,
    "https": _WEB,
    "rtmp": _RTMP,
    "rtmps": _RTMP,
}


@dataclass(frozen=True, slots=True)
class Connection:
    """An open camera; `close` it."""

    container: InputContainer
    stream: VideoStream
    url: Address

    def close(self) -> None:
        self.container.close()


def connect(
    url: Address,
    *,
    policy: AddressPolicy | None = None,
    transport: Transport = "tcp",
    open_seconds: float = OPEN_SECONDS,
    read_seconds: float = 5.0,
) -> Connection:
    """Open a camera's stream.

    policy: where the host may lie, asked before every connection, since a name may lead anywhere; HLS, whose
    playlists do too, is read only where loopback is allowed.
    Takes at most twice `open_seconds`, and resolving the host's name on top; reading from it gives up
    after `read_seconds` without a packet. Raises CameraUnauthorized, CameraNotFound, CameraUnreachable,
    SourceUnreadable or SourceBroken, in whose text, causes and all, there is no credential.
    """
    way = _WAYS.get(url.scheme)
    if way is None:
        raise SourceUnreadable(f"{url}: {url.scheme} is no scheme of a camera on the network")
    if policy is not None and url.host is not None:
        try:
            policy.check_resolved(url.host)
        except UsageError as error:
            raise SourceUnreadable(str(error)) from None
    # A playlist may name any address, and FFmpeg asks nobody before it goes there.
    playlists = policy is None or policy.allow_loopback
    began = time.monotonic()
    try:
        container = av.open(
            url.reveal(),
            "r",
            options=_options(url.scheme, way, transport, playlists=playlists),
            timeout=(open_seconds, read_seconds),
            metadata_errors="replace",
        )
    except (ffmpeg.FFmpegError, ValueError, RuntimeError, MemoryError) as error:
        failure = explain(error, url, time.monotonic() - began >= open_seconds)
    else:
        return _with_video(container, url)
    # Raised here, where FFmpeg's own error, which repeats the address, is not its context.
    raise failure


def _with_video(container: InputContainer, url: Address) -> Connection:
    try:
        stream = video_stream(container, str(url))
        for other in container.streams:
            # What is not read here is not waited for either, nor taken for a sign of life.
            if other.index != stream.index:
                other.discard = Discard.all
    except BaseException:
        container.close()
        raise
    return Connection(container, stream, url)


def _options(scheme: str, way: _Way, transport: Transport, *, playlists: bool) -> dict[str, str]:
    options = {
        "protocol_whitelist": way.protocols,
        "format_whitelist": way.formats if playlists else way.formats.removeprefix("hls,"),
        "max_pixels": str(MAX_PIXELS),
        # Half a second instead of two until the first picture.
        "probesize": "500000",
        "analyzeduration": "200000",
        **dict(way.options),
    }
    if scheme == "rtsp":
        options["rtsp_transport"] = transport
    elif scheme == "rtsps":
        options["rtsp_transport"] = "tcp"
    return options


def explain(error: Exception, url: Address, timed_out: bool = False) -> SourceError:
    """FFmpeg's error in our words: what is wrong, what to do, and the address as it may be shown."""
    if isinstance(error, ffmpeg.HTTPUnauthorizedError | ffmpeg.HTTPForbiddenError):
        refused = "refused" if isinstance(error, ffmpeg.HTTPForbiddenError) else "asks for"
        return CameraUnauthorized(f"{url} {refused} user and password: check both in the camera's address")
    if isinstance(error, ffmpeg.HTTPNotFoundError):
        return CameraNotFound(f"{url}: the camera answers, but has no such stream: check the path")
    if timed_out or isinstance(error, ffmpeg.ExitError | ffmpeg.TimeoutError):
        return CameraUnreachable(f"{url} does not answer in time: is the camera on, and is this its address?")
    if isinstance(error, ffmpeg.HTTPError):
        return SourceBroken(f"{url}: the camera answers with an error of its own; restart it if this goes on")
    if isinstance(error, ffmpeg.InvalidDataError):
        return SourceUnreadable(f"{url} sends nothing that is a video stream: check the path and the port")
    # A format that is not on the list is an invalid argument to FFmpeg.
    if isinstance(error, ffmpeg.ProtocolNotFoundError | ffmpeg.DemuxerNotFoundError | ffmpeg.ArgumentError):
        return SourceUnreadable(f"{url} is in a form, or refers to a place, that is not read from a camera")
    return _explain_number(error, url)


def _explain_number(error: Exception, url: Address) -> SourceError:
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return CameraUnreachable(f"{url}: nobody listens there: is the camera on, and is the port right?")
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN):
        return CameraUnreachable(f"{url}: there is no way to this address: check the network")
    if number in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED):
        return CameraUnreachable(f"{url}: the connection was broken off")
    if number == errno.EIO:
        where = "; where it redirects to is not followed" if url.scheme.startswith("http") else ""
        return CameraUnreachable(f"{url} cannot be reached: check the host's name and the network{where}")
    if number == errno.EPROTONOSUPPORT:
        return SourceUnreadable(f"{url} does not offer this transport: try the other of tcp and udp")
    return SourceBroken(f"{url} cannot be read ({type(error).__name__})")


def ended(url: Address) -> SourceError:
    """A live stream has no end: one that ends was broken off."""
    return SourceBroken(f"{url}: the camera ended the stream")
