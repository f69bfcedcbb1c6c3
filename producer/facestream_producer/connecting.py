"""Opens a camera on the network: bounded in time, over few protocols, with errors that keep secrets."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import av
from av import error as ffmpeg
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from facestream.address_policy import AddressPolicy
from facestream.errors import SourceBroken, SourceError, SourceUnreadable, UsageError
from facestream_producer.camera_errors import Address, ended, explain, silent
from facestream_producer.container import video_stream
from facestream_producer.packets import VideoPacket
from facestream_producer.playlist import OPTIONS, Fetcher, is_playlist
from facestream_producer.sender_clock import is_plausible, sender_us
from facestream_producer.source import MAX_PIXELS

Transport = Literal["tcp", "udp"]
_Packets: TypeAlias = Generator[VideoPacket, None, None]
OPEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Way:
    """What FFmpeg may use for a scheme: its protocols and its formats, and nothing else."""

    protocols: str
    formats: str
    options: tuple[tuple[str, str], ...] = ()


# `file`, `data`, `concat`, `pipe` and the like are in none: neither a camera nor a playlist it sends can
# make us read this machine. Formats that name other addresses are absent too (sdp, dash, concat), except
# HLS, which is nothing else, and for which FFmpeg opens nothing by itself.
_WEB = _Way(
    "http,https,tcp,tls",
    "mpjpeg,mjpeg,mpegts,flv,live_flv,mov,matroska,h264,hevc,aac,mp3",
    # Where a camera redirects to is nobody's wish but the camera's.
    (("max_redirects", "0"), ("seekable", "0")),
)
_HLS = _Way("http,https,crypto", "hls,mpegts,mov,aac,mp3", (("live_start_index", "-2"), *OPTIONS.items()))
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
    read_seconds: float
    fetcher: Fetcher | None = None

    def packets(self, is_over: Callable[[], bool]) -> Iterator[VideoPacket]:
        """What arrives, until it is over; raises SourceError when nothing does any more."""
        packets = cast(_Packets, self.container.demux(self.stream))
        failure: SourceError | None = None
        try:
            while not is_over():
                asked = time.monotonic()
                if self.fetcher is not None:
                    self.fetcher.begin()
                packet = next(packets, None)
                waited = time.monotonic() - asked
                if packet is None or not packet.size:
                    failure = ended(self.url)
                    break
                if self.fetcher is not None:
                    self.fetcher.clock.packet(packet)
                yield packet
                # FFmpeg's parser holds the latest picture back, and gives it up when a read timed out.
                if waited >= self.read_seconds:
                    failure = silent(self.url)
                    break
        except ffmpeg.ExitError:
            failure = silent(self.url)
        except (
            ffmpeg.FFmpegError,
            ValueError,
        ) as error:  # the latter of an address in a playlist that is no text
            failure = explain(error, self.url)
        finally:
            packets.close()
        if failure is not None:
            # The fetcher knows better than FFmpeg can say.
            raise (self.fetcher and self.fetcher.failure) or failure

    def sender_us(self, packet: VideoPacket, received_us: int) -> int | None:
        """When the sender took a packet's picture by its own clock; None where it says nothing credible."""
        if self.fetcher is None:
            return sender_us(packet, received_us)
        told = self.fetcher.clock.sender_us(packet)
        return told if told is not None and is_plausible(told, received_us) else None

    def close(self) -> None:
        self.container.close()

    def __del__(self) -> None:
        # PyAV ends the process when a container that reads through Python is collected while it is open.
        self.close()


def connect(
    url: Address,
    *,
    policy: AddressPolicy | None = None,
    transport: Transport = "tcp",
    device: HWAccel | None = None,
    open_seconds: float = OPEN_SECONDS,
    read_seconds: float = 5.0,
) -> Connection:
    """Open a camera's stream.

    policy: where the host may lie, asked before every connection, since a name may lead anywhere, and of
    all that an HLS playlist names. device: decodes what it can, and nothing when it cannot be had.
    Takes at most twice `open_seconds`, and resolving the host's name on top; reading from it gives up
    after `read_seconds` without a packet. Raises CameraUnauthorized, CameraNotFound, CameraUnreachable,
    SourceUnreadable or SourceBroken, in whose text, causes and all, there is no credential.
    """
    way = _way(url)
    if way is None:
        raise SourceUnreadable(f"{url}: {url.scheme} is no scheme of a camera on the network")
    if policy is not None and url.host is not None:
        try:
            policy.check_resolved(url.host)
        except UsageError as error:
            raise SourceUnreadable(str(error)) from None
    options = _options(url.scheme, way, transport, policy)
    opener = _Opener(url, options, policy or AddressPolicy(allow_loopback=True), open_seconds, read_seconds)
    if device is None:
        return opener.open(None)
    try:
        return opener.open(device)
    except SourceBroken:
        # It may be the device that fails, since it is busy or gone: what is left is the processor.
        return opener.open(None)


@dataclass(frozen=True, slots=True)
class _Opener:
    url: Address
    options: dict[str, str]
    policy: AddressPolicy
    open_seconds: float
    read_seconds: float

    def open(self, device: HWAccel | None) -> Connection:
        fetcher = self._fetcher()
        began = time.monotonic()
        try:
            container = av.open(
                self.url.reveal(),
                "r",
                format=None if fetcher is None else "hls",
                options=self.options,
                timeout=(self.open_seconds, self.read_seconds),
                metadata_errors="replace",
                io_open=fetcher,
                hwaccel=device,
            )
        except (ffmpeg.FFmpegError, ValueError, RuntimeError, MemoryError) as error:
            failure = explain(error, self.url, time.monotonic() - began >= self.open_seconds)
        else:
            return self._with_video(container, fetcher)
        # Raised here, where FFmpeg's own error, which repeats the address, is not its context.
        raise (fetcher and fetcher.failure) or failure

    def _with_video(self, container: InputContainer, fetcher: Fetcher | None) -> Connection:
        try:
            if fetcher is not None and fetcher.failure is not None:
                raise fetcher.failure
            stream = video_stream(container, str(self.url))
            for other in container.streams:
                # What is not read here is not waited for either, nor taken for a sign of life.
                if other.index != stream.index:
                    other.discard = Discard.all
        except BaseException:
            container.close()
            raise
        return Connection(container, stream, self.url, self.read_seconds, fetcher)

    def _fetcher(self) -> Fetcher | None:
        if _way(self.url) is not _HLS:
            return None
        seconds = sorted((self.open_seconds, self.read_seconds))
        return Fetcher(self.url, self.policy, *seconds)


def _way(url: Address) -> _Way | None:
    way = _WAYS.get(url.scheme)
    return _HLS if way is _WEB and is_playlist(url.reveal()) else way


def _options(scheme: str, way: _Way, transport: Transport, policy: AddressPolicy | None) -> dict[str, str]:
    options = {
        "protocol_whitelist": way.protocols,
        "format_whitelist": way.formats,
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
    if policy is not None and policy.camera_ca is not None:
        # FFmpeg believes everybody otherwise: hardly a camera has a certificate that others vouch for.
        options |= {"tls_verify": "1", "ca_file": str(policy.camera_ca)}
    return options
