"""Draws results back onto the pictures they were found in, as a video and a still."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import simplejpeg

from facestream.errors import SourceBroken, SourceUnreadable, UsageError
from facestream_models.drawing import draw_faces
from facestream_models.images import shown
from facestream_producer.encoder import fit
from facestream_producer.film import Film, check_film_path, film, replacing
from facestream_producer.recorded import uncut
from facestream_producer.source import Pixels, Recorded, Source, SourceFrame

# Every browser plays H.264 of this size; nobody looks at boxes in more.
MAX_SIDE = 1920
_STILL_QUALITY = 92
_MARGIN_COLOUR = (24, 24, 24)

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Annotated:
    """What was written: pictures in all, those that had a result, and why the source broke off, if it did."""

    pictures: int
    with_result: int
    broken: str | None


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The size of the video; a picture of another shape is fitted into its middle."""

    width: int
    height: int

    @classmethod
    def of(cls, picture: av.VideoFrame | Pixels) -> _Canvas:
        width, height = fit(*_size(picture), MAX_SIDE)
        return cls(max(16, width + width % 2), max(16, height + height % 2))

    def place(self, picture: av.VideoFrame | Pixels) -> tuple[Pixels, float, float, float, float]:
        """The picture on the canvas, BGR, and where it lies: left, top, and scale across and down."""
        width, height = _size(picture)
        scale = min(self.width / width, self.height / height)
        size = (_nearly(width * scale, self.width), _nearly(height * scale, self.height))
        left, top = (self.width - size[0]) // 2, (self.height - size[1]) // 2
        image = _scaled(picture, *size)
        if size != (self.width, self.height):
            right, bottom = self.width - size[0] - left, self.height - size[1] - top
            edge = (top, bottom, left, right, cv2.BORDER_CONSTANT)
            image = np.asarray(cv2.copyMakeBorder(image, *edge, value=_MARGIN_COLOUR), np.uint8)
        return image, left, top, size[0] / width, size[1] / height


def annotate(
    source: Source,
    results: Iterable[Result],
    out: Path,
    still: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Annotated:
    """Decode `source` again, draw each result on its frame, write an MP4 and a JPEG of the fullest frame.

    results: of this source alone, in `seq` order. A frame without one is drawn plain.
    progress: called with the number of frames done.
    Raises UsageError for a live source or an unusable path, SourceError, FacestreamError for a full disk.
    """
    _check(source, out, still)
    painter = _Painter(results)
    frames = _Readable(source)
    first = next(frames, None)
    if first is None:
        raise SourceUnreadable(frames.broken or f"{source.name} has no pictures to annotate")
    canvas = _Canvas.of(_decoded(first))
    with film(out, canvas.width, canvas.height, source.fps) as writing:
        painter.paint(first, canvas, writing)
        for frame in frames:
            painter.paint(frame, canvas, writing)
            if progress is not None:
                progress(writing.pictures)
    if still is not None:
        _write_still(still, painter.fullest)
    return Annotated(writing.pictures, painter.with_result, frames.broken)


class _Readable(Iterator[SourceFrame]):
    """A source's frames, up to its end or the place where it breaks off: that was said by the run already."""

    def __init__(self, source: Source) -> None:
        self._frames = source.frames()
        self.broken: str | None = None

    def __next__(self) -> SourceFrame:
        try:
            return next(self._frames)
        except SourceBroken as error:
            self.broken = str(error)
            raise StopIteration from None


class _Painter:
    """Brings frames and results together by their time, and keeps the picture with most faces."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = iter(results)
        self._next = next(self._results, None)
        self._most = (-1, 0.0)
        self.fullest: Pixels = np.zeros((1, 1, 3), np.uint8)
        self.with_result = 0

    def paint(self, frame: SourceFrame, canvas: _Canvas, writing: Film) -> None:
        image, *place = canvas.place(_decoded(frame))
        result = self._result_of(frame)
        if result is not None:
            self.with_result += 1
            faces = [_placed(face, result, *place) for face in result["faces"]]
            image = draw_faces(image, faces)
            self._remember(image, faces)
        elif self._most == (-1, 0.0):
            self._remember(image, [])
        writing.add(image, frame.pts_us)

    def _result_of(self, frame: SourceFrame) -> Result | None:
        """Times, not numbers, decide: a frame dropped before it was numbered must not shift the others."""
        while self._next is not None and self._next["pts_us"] < frame.pts_us:
            self._next = next(self._results, None)
        if self._next is None or self._next["pts_us"] != frame.pts_us:
            return None
        result, self._next = self._next, next(self._results, None)
        return result

    def _remember(self, image: Pixels, faces: list[dict[str, Any]]) -> None:
        fullness = (len(faces), sum(float(face["score"]) for face in faces))
        if fullness > self._most:
            self._most, self.fullest = fullness, image.copy()


def _decoded(frame: SourceFrame) -> av.VideoFrame | Pixels:
    return uncut(frame.picture) if isinstance(frame.picture, Recorded) else frame.picture


def _placed(
    face: Mapping[str, Any], result: Result, left: float, top: float, across: float, down: float
) -> dict[str, Any]:
    """A result's face in pixels of the canvas: analysed frame -> region of the source -> canvas."""
    region_x, region_y, region_width, region_height = result["region"]
    scale_x = region_width / result["width"] * across
    scale_y = region_height / result["height"] * down
    origin_x, origin_y = left + region_x * across, top + region_y * down
    x, y, width, height = face["box"]
    box = [origin_x + x * scale_x, origin_y + y * scale_y, width * scale_x, height * scale_y]
    landmarks = [[origin_x + px * scale_x, origin_y + py * scale_y] for px, py in face["landmarks"]]
    return {**face, "box": box, "landmarks": landmarks}


def _check(source: Source, out: Path, still: Path | None) -> None:
    if source.live:
        raise UsageError(f"{source.name} is live: its pictures are gone; record it to a file to annotate it")
    check_film_path(out)
    if still is not None and still.suffix.lower() not in (".jpg", ".jpeg"):
        raise UsageError(f"{shown(still)}: the still is a JPEG, choose a name that ends in .jpg")


def _size(picture: av.VideoFrame | Pixels) -> tuple[int, int]:
    if isinstance(picture, av.VideoFrame):
        return picture.width, picture.height
    return picture.shape[1], picture.shape[0]


def _nearly(length: float, limit: int) -> int:
    """Rounded, and stretched by the pixel or two that even sizes ask for."""
    return limit if limit - length < 2 else max(1, round(length))


def _scaled(picture: av.VideoFrame | Pixels, width: int, height: int) -> Pixels:
    if isinstance(picture, av.VideoFrame):
        return np.asarray(picture.reformat(width, height, "bgr24", threads=1).to_ndarray(), np.uint8)
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = picture.shape[1] >= width
    scaled = cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return np.asarray(scaled, np.uint8)


def _write_still(path: Path, image: Pixels) -> None:
    with replacing(path) as partial:
        partial.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), _STILL_QUALITY, "BGR", "420"))
