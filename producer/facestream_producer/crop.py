"""Which part of a picture is worth sending, and cutting it out without copying a pixel."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import av
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat

from facestream.zones import Bounds
from facestream_producer.source import MICROSECONDS, Pixels

Region = tuple[int, int, int, int]

# A face counts by the centre of its box: one on the zone's edge, up to a quarter of the picture's shorter
# side in size, is still whole.
MARGIN: Final = 1 / 8
# Less than this share of the picture left out is not worth a region of its own.
WORTHWHILE: Final = 1 / 10
# Rows that begin here are aligned for the scaler in every pixel format, and hit no half of a colour.
_STEP_X: Final = 32
_STEP_Y: Final = 4


def region_of(width: int, height: int, bounds: Bounds | None) -> Region:
    """The part (x, y, w, h) to send of a picture, in pixels: all of it where cutting pays too little."""
    whole = (0, 0, width, height)
    if bounds is None:
        return whole
    margin = MARGIN * min(width, height)
    x, right = _span(bounds[0] * width - margin, bounds[2] * width + margin, width, _STEP_X)
    y, bottom = _span(bounds[1] * height - margin, bounds[3] * height + margin, height, _STEP_Y)
    part = (x, y, right - x, bottom - y)
    return part if part[2] * part[3] <= (1 - WORTHWHILE) * width * height else whole


class Cropper:
    """Cuts parts out of one stream's pictures; what it gives shares their memory."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._setup: tuple[int, int, str, Region] | None = None

    def pixels(self, image: Pixels, region: Region) -> Pixels:
        x, y, width, height = region
        return image[y : y + height, x : x + width]

    def video(self, frame: av.VideoFrame, region: Region) -> av.VideoFrame | None:
        """None in a pixel format that cannot be cut without being converted first."""
        setup = (frame.width, frame.height, frame.format.name, region)
        if setup != self._setup:
            self._graph, self._setup = _graph_for(*setup), setup
        if self._graph is None:
            return None
        pts = frame.pts
        # The graph is given no time of its own: it only cuts pictures, one in, one out.
        frame.pts = None
        self._graph.vpush(frame)
        part = self._graph.vpull()
        frame.pts = pts
        if part.format.name != frame.format.name:
            self._graph = None  # converting the whole picture costs more than sending it
            return None
        return part


def _span(low: float, high: float, end: int, step: int) -> tuple[int, int]:
    """From at most `low` to at least `high`, within 0 and `end`, beginning on a whole step, even."""
    first = max(0, math.floor(low / step) * step)
    return first, min(end, math.ceil(high / 2) * 2)


def _graph_for(width: int, height: int, pixel_format: str, region: Region) -> Graph | None:
    x, y, w, h = region
    graph = Graph()
    graph.threads = 1
    try:
        source = graph.add_buffer(
            width=width,
            height=height,
            format=VideoFormat(pixel_format),
            time_base=Fraction(1, MICROSECONDS),
        )
        cut = graph.add("crop", f"{w}:{h}:{x}:{y}:exact=1")
        sink = graph.add("buffersink")
        source.link_to(cut)
        cut.link_to(sink)
        graph.configure()
    except (FFmpegError, ValueError):
        return None
    return graph
