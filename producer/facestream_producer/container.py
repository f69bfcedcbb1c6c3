"""Opens video containers of this machine, and only of this machine, and decodes their pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import BlockingIOError as NotYet
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from facestream.errors import SourceUnreadable
from facestream_producer.source import MAX_PIXELS, MICROSECONDS, check_size
from facestream_producer.upright import Uprighter

# What a file may be. Playlists and manifests (hls, dash, concat, sdp, image sequences, …) are absent
# on purpose: they name other files and addresses, which a file from outside must not make us open.
_FILE_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,gif,apng,flv,live_flv,asf,asf_o,ogg,"
    "ivf,mjpeg,mpjpeg,h261,h263,h264,hevc,vvc,evc,m4v,obu,av1,yuv4mpegpipe,dv,rm,nut,mxf,vc1,wtv,cavsvideo,dirac"
)
FILE_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": _FILE_FORMATS,
    "enable_drefs": "0",
    "max_pixels": str(MAX_PIXELS),
}
_ASSUMED_FPS = 25.0
_POLL_SECONDS = 0.005


@dataclass(slots=True)
class Tally:
    """What became of the packets of one reading.

    packets: received. hidden: of these, kept back by the file's own edit list. corrupt: did not decode.
    cut: the last packet was incomplete, or the container could not be read on.
    """

    packets: int = 0
    hidden: int = 0
    corrupt: int = 0
    cut: bool = False


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The container's moving picture, set up for one thread; raises SourceUnreadable when there is none."""
    moving = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not moving:
        raise SourceUnreadable(f"{name} has no video stream")
    stream = moving[0]
    # A stream whose codec this FFmpeg lacks has no context, whatever the type says.
    context = getattr(stream, "codec_context", None)
    if context is None:
        raise SourceUnreadable(f"{name} is in a video format this FFmpeg cannot decode; convert it to H.264")
    check_size(name, context.width, context.height)
    context.options = {"max_pixels": str(MAX_PIXELS)}
    # One thread a stream: frame threading gains nothing once every core has its own camera.
    context.thread_type = ThreadType.NONE
    context.thread_count = 1
    return stream


def pictures(container: InputContainer, stream: VideoStream, tally: Tally) -> Iterator[av.VideoFrame]:
    """Every picture that decodes, upright, in presentation order; the rest is counted in `tally`."""
    upright = Uprighter()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except NotYet:
            # AVFoundation says so between two pictures instead of waiting.
            time.sleep(_POLL_SECONDS)
            packets = container.demux(stream)
            continue
        except FFmpegError:
            tally.cut = True
            return
        if packet.size:
            tally.packets += 1
            tally.hidden += packet.is_discard
            tally.cut = packet.is_corrupt
        try:
            decoded = packet.decode()
        except FFmpegError:
            tally.corrupt += 1
            continue
        for frame in decoded:
            picture = None if frame.is_corrupt else _turned(frame, upright)
            if picture is None:
                tally.corrupt += 1
            else:
                yield picture


@dataclass(slots=True)
class Timeline:
    """Presentation times in µs from a stream's start: never decreasing, whatever the container says."""

    start: int | None
    fps: float | None
    _last_us: int | None = None
    _shift_us: int = 0
    _step_us: int = field(init=False)

    def __post_init__(self) -> None:
        self._step_us = round(MICROSECONDS / (self.fps or _ASSUMED_FPS))

    def place(self, frame: av.VideoFrame) -> int:
        self._last_us = self._next(frame)
        return self._last_us

    def _next(self, frame: av.VideoFrame) -> int:
        follows = 0 if self._last_us is None else self._last_us + self._step_us
        if frame.pts is None or not frame.time_base:
            return follows
        if self.start is None:
            self.start = frame.pts
        ticks = frame.pts - self.start
        at = ticks * frame.time_base.numerator * MICROSECONDS // frame.time_base.denominator + self._shift_us
        if self._last_us is None:
            return max(0, at)
        if at < self._last_us - 2 * self._step_us:
            # The clock began again (two recordings in one file, a counter that wrapped): go on from here.
            self._shift_us += follows - at
            return follows
        return max(self._last_us, at)


def _turned(frame: av.VideoFrame, upright: Uprighter) -> av.VideoFrame | None:
    try:
        return upright(frame)
    except FFmpegError:
        return None


def _is_cover(stream: VideoStream) -> bool:
    """Cover art of a sound file is a video stream to FFmpeg, and none to anybody else."""
    return bool(stream.disposition & Disposition.attached_pic)
