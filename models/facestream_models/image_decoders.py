"""Pixels of each kind of picture, as stored: BGR or BGRA, one byte a sample, not yet turned upright.

JPEG through simplejpeg, which can be strict; PNG, GIF and AVIF through FFmpeg, which older OpenCV wheels lack
or which print libpng's complaints; WebP, BMP and TIFF through OpenCV.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facestream.errors import ImageError
from facestream_models.avif import read_avif
from facestream_models.damaged import Damaged
from facestream_models.image_header import MAX_PIXELS, Header
from facestream_models.png import bare_png
from facestream_models.tiff import Directory
from facestream_models.webp import read_webp

Pixels = NDArray[np.uint8]

# Warnings of libjpeg about bytes that cost no pixel; many cameras cause the first one.
_HARMLESS = ("extraneous bytes before marker", "Invalid SOS parameters", "Inconsistent progression sequence")
_MAX_JPEG_SCANS = 500


def decode(data: bytes, header: Header) -> Pixels:
    """(h, w, 3) BGR or (h, w, 4) BGRA with straight alpha; ImageError, less the name, where it breaks off."""
    try:
        pixels = _DECODERS[header.kind](data, header)
    except (struct.error, IndexError) as error:
        raise Damaged from error
    if pixels.shape[:2] != (header.height, header.width):
        raise Damaged
    return pixels


def _jpeg(data: bytes, header: Header) -> Pixels:
    import simplejpeg

    if data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        raise ImageError(
            f"has over {_MAX_JPEG_SCANS} scans, which no camera writes; save it again as a plain JPEG"
        )
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if (height, width) != (header.height, header.width):
            raise Damaged
        wanted = "CMYK" if space in ("CMYK", "YCCK") else "BGR"
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(data, wanted)
        except ValueError as error:
            if not _harmless(error) or data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
                raise
            pixels = simplejpeg.decode_jpeg(data, wanted, strict=False)
    except KeyError as error:
        raise ImageError("is a JPEG of a rare colour layout; save it again as a plain JPEG") from error
    except ValueError as error:
        raise Damaged from error
    return _from_cmyk(pixels) if wanted == "CMYK" else pixels


def _harmless(error: ValueError) -> bool:
    return any(text in str(error) for text in _HARMLESS)


def _from_cmyk(pixels: Pixels) -> Pixels:
    """BGR of inks as Adobe stores them, inverted: every program that writes CMYK into JPEG does so."""
    inks = pixels.astype(np.uint16)
    return ((inks[..., 2::-1] * inks[..., 3:] + 127) // 255).astype(np.uint8)


def _png(data: bytes, header: Header) -> Pixels:
    import av

    codec = av.CodecContext.create("png", "r")
    codec.options = {"max_pixels": str(MAX_PIXELS)}
    with _ffmpeg_errors():
        return _pixels(next(iter(codec.decode(av.Packet(bare_png(data))))))


def _gif(data: bytes, header: Header) -> Pixels:
    with _opened(data, "gif") as container:
        return _pixels(next(container.decode(video=0)))


def _avif(data: bytes, header: Header) -> Pixels:
    picture = read_avif(data)
    colour = _avif_plane(data, picture.item, "bgr24")
    if picture.alpha_item is None:
        return colour[..., :3]
    alpha = _avif_plane(data, picture.alpha_item, "gray")
    if alpha.shape[:2] != colour.shape[:2]:
        raise Damaged
    return np.dstack((colour[..., :3], alpha))


def _avif_plane(data: bytes, item: int, form: str) -> Pixels:
    with _opened(data, "mov") as container:
        stream = next(stream for stream in container.streams.video if stream.id == item)
        return np.asarray(next(container.decode(stream)).to_ndarray(format=form), np.uint8)


@contextmanager
def _opened(data: bytes, form: str) -> Iterator[Any]:
    import av

    bounds = {"max_pixels": str(MAX_PIXELS)}
    with _ffmpeg_errors(), av.open(io.BytesIO(data), format=form, options=bounds) as container:
        for stream in container.streams.video:
            stream.codec_context.options = bounds
            stream.codec_context.thread_count = 1
        yield container


@contextmanager
def _ffmpeg_errors() -> Iterator[None]:
    import av

    try:
        yield
    except (av.FFmpegError, StopIteration, ValueError, OSError) as error:
        raise Damaged from error


def _pixels(frame: Any) -> Pixels:
    """A frame's own colours, with alpha where its form has any."""
    parts = frame.format.components
    has_alpha = frame.format.name == "pal8" or any(part.is_alpha for part in parts)
    if max(part.bits for part in parts) <= 8:
        return np.asarray(frame.to_ndarray(format="bgra" if has_alpha else "bgr24"), np.uint8)
    # FFmpeg's own way from 16 bits to 8 is off by more than rounding.
    deep = frame.to_ndarray(format="rgba64le" if has_alpha else "rgb48le")
    return _eight_bits(deep)[..., [2, 1, 0, 3] if has_alpha else [2, 1, 0]]


def _eight_bits(deep: NDArray[np.uint16]) -> Pixels:
    import cv2

    return np.asarray(cv2.convertScaleAbs(deep, alpha=1 / 257), np.uint8)


def _webp(data: bytes, header: Header) -> Pixels:
    picture = read_webp(data)
    frame = _imdecode(picture.alone())
    if frame.shape[:2] != (picture.frame_height, picture.frame_width):
        raise Damaged
    if frame.shape[:2] == (header.height, header.width):
        return frame
    canvas = np.zeros((header.height, header.width, 4), np.uint8)
    part = canvas[picture.top :, picture.left :][: picture.frame_height, : picture.frame_width]
    part[..., :3], part[..., 3] = frame[..., :3], frame[..., 3] if frame.shape[2] == 4 else 255
    return canvas


def _bmp(data: bytes, header: Header) -> Pixels:
    # The fourth byte of a BMP's pixel is as often padding as alpha: nobody shows it.
    return _imdecode(data)[..., :3]


def _tiff(data: bytes, header: Header) -> Pixels:
    directory = Directory.read(data)
    if directory.bits > 16 or not directory.in_whole_numbers or directory.in_lab:
        raise ImageError(
            "is a TIFF of floating-point, 32-bit or Lab samples; save it as 8- or 16-bit RGB first"
        )
    pixels = _imdecode(directory.upright(data))
    if pixels.shape[2] == 4 and (directory.bits <= 8 or directory.premultiplied):
        # libtiff hands 8-bit pictures out multiplied by their alpha.
        alpha = np.maximum(pixels[..., 3:].astype(np.uint16), 1)
        straight = (pixels[..., :3].astype(np.uint16) * 255 + alpha // 2) // alpha
        pixels = np.dstack((np.minimum(straight, 255).astype(np.uint8), pixels[..., 3]))
    return pixels


def _imdecode(data: bytes) -> Pixels:
    """OpenCV's answer with one byte a sample and three or four channels; Damaged where it has none."""
    import cv2

    with _opencv_silent():
        try:
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise Damaged from error
    if found is None or found.dtype not in (np.uint8, np.uint16):
        raise Damaged
    if found.dtype == np.uint16:
        found = _eight_bits(np.asarray(found, np.uint16))
    if found.ndim == 2:
        found = cv2.cvtColor(found, cv2.COLOR_GRAY2BGR)
    return np.asarray(found, np.uint8)


@contextmanager
def _opencv_silent() -> Iterator[None]:
    import cv2

    # OpenCV 5 keeps these in cv2.utils.logging, OpenCV 4 in cv2 itself.
    log: Any = getattr(cv2.utils, "logging", cv2)
    before = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(before)


_DECODERS: dict[str, Callable[[bytes, Header], Pixels]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "avif": _avif,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
}
