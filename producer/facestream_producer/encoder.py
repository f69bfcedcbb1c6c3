"""Pictures become JPEG, no larger than asked, the cheapest way their form allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import simplejpeg
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from facestream.errors import SourceUnreadable
from facestream.zones import Bounds
from facestream_producer.colours import Colours, Planes, planes_of
from facestream_producer.crop import Cropper, Region, region_of
from facestream_producer.source import Pixels, Recorded, check_size

QUALITY = 85


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JPEG and its size in pixels, the size of the picture it was made from, and which part it shows."""

    data: bytes
    width: int
    height: int
    source_width: int
    source_height: int
    region: Region


class Encoder:
    """Encodes one source's frames; keep one a source, its scaler is set up once and reused.

    max_side: the longer side in pixels at most; None keeps the size. Never enlarges. quality: 1 to 100.
    crop: what is wanted of the picture (left, top, right, bottom, in fractions of it): where that leaves out
    enough, only this part is encoded, with a margin. It is as large as it would be in the whole picture.
    """

    def __init__(
        self, *, max_side: int | None = None, quality: int = QUALITY, crop: Bounds | None = None
    ) -> None:
        self.max_side = max_side
        self.quality = quality
        self.crop = crop
        self._reformatter = VideoReformatter()
        self._cropper = Cropper()

    def encode(self, picture: av.VideoFrame | Pixels | Recorded) -> Encoded:
        """Raises SourceUnreadable over the size limits, ValueError for an array that is no picture.

        What was recorded stays as it is, whatever was asked of this encoder.
        """
        if isinstance(picture, Recorded):
            was = picture.header
            sizes = (was.width, was.height, was.source_width, was.source_height)
            return Encoded(picture.data, *sizes, was.region)
        if isinstance(picture, av.VideoFrame):
            source = (picture.width, picture.height)
        else:
            source = _size_of(picture)
        check_size("the source", *source)
        part, region = self._cut(picture, source)
        whole = fit(*source, self.max_side)
        width, height = (_scaled(region[axis + 2], source[axis], whole[axis]) for axis in (0, 1))
        if isinstance(part, av.VideoFrame):
            data = self._from_video(part, width, height)
        else:
            data = self._from_pixels(part, width, height)
        return Encoded(data, width, height, *source, region)

    def _cut(
        self, picture: av.VideoFrame | Pixels, source: tuple[int, int]
    ) -> tuple[av.VideoFrame | Pixels, Region]:
        whole = (0, 0, *source)
        region = region_of(*source, self.crop)
        if region == whole:
            return picture, whole
        if not isinstance(picture, av.VideoFrame):
            return self._cropper.pixels(picture, region), region
        part = self._cropper.video(picture, region)
        return (picture, whole) if part is None else (part, region)

    def _from_video(self, frame: av.VideoFrame, width: int, height: int) -> bytes:
        luma, blue, red = self._planes(frame, width, height)
        return bytes(simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, self.quality))

    def _planes(self, frame: av.VideoFrame, width: int, height: int) -> Planes:
        """What a JPEG stores (BT.601, full range, 4:2:0), scaled: no detour through RGB.

        swscale turns one matrix into another at four times what it costs here, and the range as fast as
        it scales.
        """
        colours, scales = Colours.of(frame), (width, height) != (frame.width, frame.height)
        if colours is None or (scales and not colours.is_bt709):
            jpeg = {"dst_colorspace": Colorspace.ITU601, "dst_color_range": ColorRange.JPEG}
            return planes_of(self._scaled(frame, width, height, "yuvj420p", **jpeg))
        if scales:
            frame = self._scaled(frame, width, height, frame.format.name)
        return colours.to_jpeg(planes_of(frame))

    def _scaled(
        self, frame: av.VideoFrame, width: int, height: int, pixel_format: str, **colours: Any
    ) -> av.VideoFrame:
        # Area averaging is also the fastest of swscale's ways to shrink, and keeps small faces clean.
        try:
            return self._reformatter.reformat(
                frame, width, height, pixel_format, interpolation=Interpolation.AREA, threads=1, **colours
            )
        except (FFmpegError, ValueError):
            raise SourceUnreadable(
                f"a picture in the pixel format {frame.format.name} cannot be converted to JPEG"
            ) from None

    def _from_pixels(self, image: Pixels, width: int, height: int) -> bytes:
        if (width, height) != (image.shape[1], image.shape[0]):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        contiguous = np.ascontiguousarray(image)
        return bytes(simplejpeg.encode_jpeg(contiguous, self.quality, "BGR", "420"))


def encode(picture: av.VideoFrame | Pixels, *, max_side: int | None, quality: int = QUALITY) -> Encoded:
    """One picture as a JPEG; for many of one source, keep an `Encoder`."""
    return Encoder(max_side=max_side, quality=quality).encode(picture)


def fit(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """The size with the same shape whose longer side is at most `max_side`; never larger, never empty."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def _scaled(part: int, source: int, whole: int) -> int:
    return max(1, round(part * whole / source))


def _size_of(image: Pixels) -> tuple[int, int]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"a picture is (height, width, 3) uint8 BGR, not {image.shape} {image.dtype}")
    return image.shape[1], image.shape[0]
