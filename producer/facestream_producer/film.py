"""Writes H.264 in MP4 that browsers play: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from facestream.errors import FacestreamError, UsageError
from facestream_models.images import shown
from facestream_producer.source import MICROSECONDS, Pixels

# In order of preference: Cisco's encoder is BSD, and macOS has one of its own; libx264 is GPL, and
# what PyAV's own wheels bring. None is imported by us: FFmpeg chooses by name at run time.
ENCODERS = ("libopenh264", "h264_videotoolbox", "libx264")
_SUFFIXES = (".mp4", ".m4v", ".mov")
_CLOCK = 90_000
_BITS_PER_PIXEL = 0.12


class Film:
    """An open video; `add` pictures of its size (even width and height), in order of time."""

    def __init__(self, container: av.container.OutputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self._reformatter = VideoReformatter()
        self._last = -1
        self.pictures = 0

    def add(self, image: Pixels, pts_us: int) -> None:
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        planar = self._reformatter.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        # Two pictures of the same time would be one to a player: the later one moves on by a tick.
        self._last = max(self._last + 1, pts_us * _CLOCK // MICROSECONDS)
        planar.pts, planar.time_base = self._last, Fraction(1, _CLOCK)
        self._container.mux(self._stream.encode(planar))
        self.pictures += 1

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def check_film_path(path: Path) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{shown(path)}: annotated video is written as MP4, choose a name that ends in .mp4")


@contextmanager
def film(path: Path, width: int, height: int, fps: float | None) -> Iterator[Film]:
    """Write a video beside `path` and move it there when it is whole; nothing is left if that fails.

    Raises UsageError for a place that cannot be written, FacestreamError when the disk fills up.
    """
    with replacing(path) as partial:
        codec = h264_encoder()
        container = av.open(
            f"file:{partial.absolute()}", "w", format="mp4", options={"movflags": "faststart"}
        )
        try:
            open_film = Film(container, _stream(container, codec, width, height, fps))
            yield open_film
            open_film.finish()
        finally:
            _abandon(container)
        _check_written(partial, open_film.pictures)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, moved over it at the end, removed on any failure."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb"):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {shown(path)} ({error.strerror}): choose another place") from None
    try:
        yield partial
        partial.replace(path)
    except (FFmpegError, OSError) as error:
        reason = os.strerror(error.errno) if error.errno and 0 < error.errno < 200 else "the disk may be full"
        raise FacestreamError(
            f"cannot write {shown(path)} ({reason}): free some space or choose another place; "
            "no half file was left there"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def h264_encoder() -> str:
    """The first H.264 encoder of this FFmpeg; raises FacestreamError when it has none."""
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except UnknownCodecError:
            continue
        return name
    raise FacestreamError("this PyAV has no H.264 encoder: install PyAV from its own wheels (pip install av)")


def _stream(
    container: av.container.OutputContainer, codec: str, width: int, height: int, fps: float | None
) -> VideoStream:
    rate = Fraction(fps or 25.0).limit_denominator(1001)
    stream = cast(VideoStream, container.add_stream(codec, rate=rate))
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, _CLOCK)
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    if codec == "libx264":
        context.options = {"preset": "veryfast", "crf": "23"}
    else:
        context.bit_rate = max(200_000, int(width * height * float(rate) * _BITS_PER_PIXEL))
    return stream


def _abandon(container: av.container.OutputContainer) -> None:
    """Close what may be closed already, or cannot be: its file is thrown away then."""
    try:
        container.close()
    except (FFmpegError, OSError):
        return


def _check_written(partial: Path, pictures: int) -> None:
    """A full disk can pass unnoticed while writing: count what is there before it takes its name."""
    with av.open(f"file:{partial.absolute()}", options={"protocol_whitelist": "file"}) as written:
        if written.streams.video[0].frames != pictures:
            raise OSError(0, "incomplete")
