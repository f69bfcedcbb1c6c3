"""Looks at a camera for some seconds and says what it sends, and how to attach it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from av.error import FFmpegError

from facestream.address_policy import AddressPolicy
from facestream.errors import SourceBroken, SourceError
from facestream_producer.camera_errors import Address
from facestream_producer.connecting import Connection, Transport, connect
from facestream_producer.packets import VideoPacket
from facestream_producer.source import MICROSECONDS, Clock, now_us

SECONDS = 5.0
# Faces are found at this side; more pixels only help those far away, and cost.
_ENOUGH_SIDE = 960
_ENOUGH_FPS = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What a camera sent; `address` without credentials, so that all of it may be shown to anybody.

    fps, bitrate_kbit: None when too little came. keyframe_seconds: between two whole pictures, None when
    fewer than two came. jitter_ms, jitter_max_ms: by how much pictures came early or late, from one to the
    next. first_picture_seconds: from the attempt until one was decoded. suggested: settings.
    """

    address: str
    transport: str
    format: str
    codec: str
    profile: str | None
    width: int
    height: int
    pixel_format: str
    fps: float | None
    keyframe_seconds: float | None
    b_frames: bool
    jitter_ms: float | None
    jitter_max_ms: float | None
    bitrate_kbit: float | None
    clock: Clock
    seconds: float
    packets: int
    corrupt: int
    first_picture_seconds: float
    suggested: dict[str, Any]

    def to_map(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Seen:
    at: float
    pts_us: int | None
    size: int
    key: bool


def probe(
    url: Address,
    *,
    policy: AddressPolicy | None = None,
    seconds: float = SECONDS,
    transport: Transport = "tcp",
) -> Probe:
    """Connect, and watch for so many seconds; raises SourceError when there is nothing to be seen."""
    began, patience = time.monotonic(), max(3.0, seconds)
    with closing(connect(url, policy=policy, transport=transport, read_seconds=patience)) as connection:
        return _Watch(connection, began).report(seconds, transport)


class _Watch:
    """One watching of a connection."""

    def __init__(self, connection: Connection, began: float) -> None:
        self._connection, self._began = connection, began
        self._seen: list[_Seen] = []
        self._size: tuple[int, int, str] | None = None
        self._first_picture = 0.0
        self._corrupt = 0
        self._last_pts: int | None = None
        self._reordered = False
        self._clock: Clock = "receipt"

    def report(self, seconds: float, transport: Transport) -> Probe:
        for packet in self._packets(time.monotonic() + seconds):
            self._note(packet)
            self._decode(packet)
        if self._size is None:
            raise SourceBroken(
                f"{self._connection.url}: in {seconds:g} s no picture could be decoded; "
                "look longer with --seconds, or shorten the camera's keyframe interval"
            )
        return self._describe(transport)

    def _packets(self, until: float) -> Iterator[VideoPacket]:
        """What arrives until then; an error only when nothing did before."""
        try:
            yield from self._connection.packets(lambda: time.monotonic() >= until)
        except SourceError:
            if self._size is None:
                raise

    def _note(self, packet: VideoPacket) -> None:
        pts_us = None
        if packet.pts is not None and not self._without_times:
            pts_us = round(float(packet.pts * packet.time_base) * MICROSECONDS)
            self._reordered |= self._last_pts is not None and pts_us < self._last_pts
            self._last_pts = pts_us
        self._seen.append(_Seen(time.monotonic(), pts_us, packet.size, packet.is_keyframe))
        if self._connection.sender_us(packet, now_us()) is not None:
            self._clock = "sender"

    @property
    def _without_times(self) -> bool:
        return self._connection.container.format.name in ("mpjpeg", "mjpeg")

    def _decode(self, packet: VideoPacket) -> None:
        try:
            pictures = packet.decode()
        except FFmpegError:
            self._corrupt += 1
            return
        for picture in pictures:
            self._corrupt += picture.is_corrupt
            if self._size is None and not picture.is_corrupt:
                self._first_picture = time.monotonic() - self._began
                self._size = picture.width, picture.height, picture.format.name

    def _describe(self, transport: Transport) -> Probe:
        assert self._size is not None
        width, height, pixel_format = self._size
        context = self._connection.stream.codec_context
        fps, bitrate = self._rates()
        jitters = self._jitters_ms()
        scheme = self._connection.url.scheme
        return Probe(
            address=str(self._connection.url),
            transport=f"{scheme} over {transport}" if scheme == "rtsp" else scheme,
            format=self._connection.container.format.name,
            codec=context.name,
            profile=context.profile,
            width=width,
            height=height,
            pixel_format=pixel_format,
            fps=fps,
            keyframe_seconds=self._keyframe_seconds(),
            b_frames=self._reordered,
            jitter_ms=round(fmean(jitters), 1) if jitters else None,
            jitter_max_ms=round(max(jitters), 1) if jitters else None,
            bitrate_kbit=bitrate,
            clock=self._clock,
            seconds=round(self._seen[-1].at - self._seen[0].at, 1),
            packets=len(self._seen),
            corrupt=self._corrupt,
            first_picture_seconds=round(self._first_picture, 2),
            suggested=_suggest(width, height, fps),
        )

    def _times(self) -> list[float]:
        """When the pictures are shown, in seconds and in order; of arrival where nothing else is told."""
        told = [seen.pts_us for seen in self._seen if seen.pts_us is not None]
        if len(told) >= len(self._seen) - 2:  # RTSP's first picture often has none
            return sorted(pts / MICROSECONDS for pts in told)
        return [seen.at for seen in self._seen]

    def _rates(self) -> tuple[float | None, float | None]:
        times = self._times()
        span = times[-1] - times[0] if len(times) > 1 else 0.0
        if span <= 0:
            return None, None
        size = sum(seen.size for seen in self._seen)
        each = size / len(self._seen) * (len(times) - 1)
        return round((len(times) - 1) / span, 2), round(each * 8 / span / 1000, 1)

    def _keyframe_seconds(self) -> float | None:
        gaps = []
        for earlier, later in pairwise([seen for seen in self._seen if seen.key]):
            told = earlier.pts_us is not None and later.pts_us is not None
            gap = (later.pts_us or 0) - (earlier.pts_us or 0)
            gaps.append(gap / MICROSECONDS if told else later.at - earlier.at)
        return round(max(gaps), 2) if gaps else None

    def _jitters_ms(self) -> list[float]:
        """How much longer or shorter each wait was than the pictures' own times are apart."""
        if self._reordered:
            steps = [later.at - earlier.at for earlier, later in pairwise(self._seen)]
            mean = fmean(steps) if steps else 0.0
            return [abs(step - mean) * 1000 for step in steps]
        times = self._times()
        mean_step = (times[-1] - times[0]) / max(1, len(times) - 1)
        jitters = []
        for earlier, later in pairwise(self._seen):
            told = earlier.pts_us is not None and later.pts_us is not None
            step = ((later.pts_us or 0) - (earlier.pts_us or 0)) / MICROSECONDS if told else mean_step
            jitters.append(abs(later.at - earlier.at - step) * 1000)
        return jitters


def _suggest(width: int, height: int, fps: float | None) -> dict[str, Any]:
    suggested: dict[str, Any] = {"fps": _ENOUGH_FPS if fps is None else min(_ENOUGH_FPS, round(fps, 1))}
    suggested["max_side"] = min(_ENOUGH_SIDE, max(width, height))
    return suggested
