"""What a picture costs between decoder and detector: as JPEG, as raw I420, and as raw BGR.

    python -m bench.codec                                    the built-in scene, at 640 and at 1280 pixels
    python -m bench.codec --source clip.mp4 --sides 640      your own clip
    python -m bench.codec --redis redis://localhost:6379/0   a server of yours on this machine

Processor time of all three: the producer scales and encodes a decoded picture and publishes it, the broker
keeps it and hands it out, the worker takes it and makes BGR pixels of it. The embedded broker is reached over
its Unix socket and has a core of its own. The codecs take turns, a round each; the median counts.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Protocol

import av
import cv2
import numpy as np
import simplejpeg
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from bench.bench import Bench
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Delivery, Outcome, Taker
from facestream.settings import Settings
from facestream_bench.frames import DEMO, Frame, batches, positive, shown_source
from facestream_bench.report import Figure, Grid, Report, at_most
from facestream_bench.server import Server, pinned
from facestream_producer.encoder import Encoded, Encoder, fit
from facestream_producer.opening import open_source
from facestream_producer.source import Pixels

BATCH = 4
DEPTH = 16
RESULT_BYTES = 1200
ROOM_BYTES = 512 << 20
JPEG = "jpeg"
# So much less than JPEG's a raw codec must cost in all to be worth its place in the contract.
WORTHWHILE = 0.8
PARTS = ("encode", "publish", "broker", "take", "decode", "commit")


class Codec(Protocol):
    """One way to carry a picture; `encode` is the producer's part, `decode` the worker's."""

    def encode(self, picture: av.VideoFrame) -> Encoded: ...

    def decode(self, data: bytes, width: int, height: int) -> Pixels: ...


class Jpeg:
    """As the product does it."""

    def __init__(self, side: int) -> None:
        self._encoder = Encoder(max_side=side, quality=Settings().jpeg_quality)

    def encode(self, picture: av.VideoFrame) -> Encoded:
        return self._encoder.encode(picture)

    def decode(self, data: bytes, width: int, height: int) -> Pixels:
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="BGR"))


class Raw:
    """Planes without padding, one behind the other: BT.601, limited range where they are YUV."""

    def __init__(self, side: int, pixel_format: str) -> None:
        self._side, self._format = side, pixel_format
        self._reformatter = VideoReformatter()

    def encode(self, picture: av.VideoFrame) -> Encoded:
        width, height = fit(picture.width, picture.height, self._side)
        scaled = self._reformatter.reformat(
            picture,
            width,
            height,
            self._format,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        size = (picture.width, picture.height)
        return Encoded(b"".join(map(_rows, scaled.planes)), width, height, *size, (0, 0, *size))

    def decode(self, data: bytes, width: int, height: int) -> Pixels:
        if self._format == "bgr24":
            return np.frombuffer(data, np.uint8).reshape(height, width, 3)
        planes = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


CODECS: dict[str, Callable[[int], Codec]] = {
    JPEG: Jpeg,
    "i420": lambda side: Raw(side, "yuv420p"),
    "bgr": lambda side: Raw(side, "bgr24"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor milliseconds a frame, by PARTS, and the picture's size on its way."""

    parts: dict[str, float]
    kilobytes: float

    @property
    def all(self) -> float:
        return sum(self.parts.values())


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=DEMO, help="a clip or demo:")
    parser.add_argument("--sides", type=positive, nargs="+", default=[640, 1280], help="in pixels")
    parser.add_argument("--frames", type=positive, default=60, help="frames of a round")
    parser.add_argument("--repeat", type=positive, default=7, help="rounds of each codec")
    parser.add_argument("--redis", help="a broker on this machine; its frames are emptied")


def measure(options: argparse.Namespace, command: str) -> Report:
    cv2.setNumThreads(1)
    pictures = _pictures(options.source, options.frames)
    settings = {name: getattr(options, name) for name in ("sides", "frames", "repeat")}
    settings["source"] = shown_source(options.source)
    report = Report("codec", "A picture from decoder to detector, by codec", command, settings)
    rows: list[list[str | int | float | None]] = []
    with _server(options.redis) as (connection, server):
        for side in options.sides:
            costs = _take_turns(connection, server, pictures, side, options.repeat)
            rows += [
                [f"{name}, {side} px", cost.kilobytes, *cost.parts.values(), cost.all]
                for name, cost in costs.items()
            ]
            report.figures += _figures(costs, side)
    report.grids = [Grid("cpu_ms", "Processor milliseconds a frame", ("codec", "KB", *PARTS, "all"), rows)]
    return report


def _figures(costs: dict[str, Cost], side: int) -> Iterator[Figure]:
    for name, cost in costs.items():
        if name != JPEG:
            label = f"{name} over {JPEG} at {side} px, all three"
            ratio = cost.all / costs[JPEG].all
            yield Figure(f"{name}_over_jpeg_{side}", label, ratio, "x", 2, at_most(WORTHWHILE))


@contextmanager
def _server(url: str | None) -> Iterator[tuple[Connection, Server]]:
    with EmbeddedBroker(ROOM_BYTES) as broker, pinned() as cores:
        connection = Connection(url or broker.url, prefix=f"bench{secrets.token_hex(4)}")
        try:
            server = Server(connection)
            if cores:
                server.run_on(cores[1])
            yield connection, server
        finally:
            connection.close()


def _take_turns(
    connection: Connection, server: Server, pictures: Sequence[av.VideoFrame], side: int, repeat: int
) -> dict[str, Cost]:
    codecs = {name: make(side) for name, make in CODECS.items()}
    rounds: dict[str, list[Cost]] = {name: [] for name in codecs}
    for number in range(repeat + 1):
        for name, codec in codecs.items():
            cost = _round(connection, server, pictures, codec)
            if number:  # the first warms up
                rounds[name].append(cost)
    return {
        name: Cost({part: median(cost.parts[part] for cost in costs) for part in PARTS}, costs[0].kilobytes)
        for name, costs in rounds.items()
    }


def _round(connection: Connection, server: Server, pictures: Sequence[av.VideoFrame], codec: Codec) -> Cost:
    """All pictures from one end to the other, in batches; as they are settled at once, few wait."""
    epoch = Epoch.begin(connection, "bench", live=False, depth=DEPTH)
    assert isinstance(epoch, Epoch)
    taker = Taker(connection, "bench")
    taker.join()
    spent, size = dict.fromkeys(PARTS, 0.0), 0
    before = server.cpu_seconds()
    for some in batches(pictures, BATCH):
        for picture in some:
            with _timed(spent, "encode"):
                encoded = codec.encode(picture)
            size += len(encoded.data)
            with _timed(spent, "publish"):
                epoch.publish(Frame(encoded, "bench", 0, 0).header(), encoded.data)
        _settle(taker, codec, encoded, len(some), spent)
    spent["broker"] = server.cpu_seconds() - before
    epoch.report(ended=True)
    taker.leave()
    each = {part: seconds * 1000 / len(pictures) for part, seconds in spent.items()}
    return Cost(each, size / 1000 / len(pictures))


def _settle(taker: Taker, codec: Codec, like: Encoded, count: int, spent: dict[str, float]) -> None:
    ended = 0
    while ended < count:
        with _timed(spent, "take"):
            deliveries: list[Delivery] = taker.take(BATCH, 1.0)
        with _timed(spent, "decode"):
            images = [codec.decode(each.image, like.width, like.height) for each in deliveries]
        assert all(image.shape == (like.height, like.width, 3) for image in images)
        with _timed(spent, "commit"):
            ended += taker.commit([Outcome(each, bytes(RESULT_BYTES)) for each in deliveries])


@contextmanager
def _timed(spent: dict[str, float], part: str) -> Iterator[None]:
    began = time.thread_time()
    yield
    spent[part] += time.thread_time() - began


def _pictures(source: str, count: int) -> list[av.VideoFrame]:
    """As a decoder gives them: planes of YUV 4:2:0."""
    opened = open_source(source)
    try:
        return [_decoded(frame.picture) for frame in islice(opened.frames(), count)]
    finally:
        opened.close()


def _decoded(picture: av.VideoFrame | Pixels) -> av.VideoFrame:
    if isinstance(picture, av.VideoFrame):
        return picture
    return av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="yuv420p")


def _rows(plane: av.video.plane.VideoPlane) -> bytes:
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    pixel_bytes = 3 if plane.line_size >= 3 * plane.width else 1
    return rows[:, : plane.width * pixel_bytes].tobytes()


BENCH = Bench("codec", __doc__ or "", add_options, measure, short=("--repeat", "3"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
