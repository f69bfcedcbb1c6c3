"""Frames of a source, made ready as a producer makes them, before any clock starts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from facestream.bus.publisher import Epoch
from facestream.contract import FrameHeader
from facestream.settings import Settings
from facestream_producer.encoder import Encoded, Encoder
from facestream_producer.opening import open_source
from facestream_producer.source import Clock, Kind, Source, SourceFrame

DEMO = "demo:"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded frame of a source and when it was captured."""

    encoded: Encoded
    source: str
    pts_us: int
    captured_at_us: int

    def header(self) -> FrameHeader:
        """What a producer would say of it; camera, epoch and seq are the publisher's."""
        encoded = self.encoded
        return FrameHeader(
            camera="bench",
            source=self.source,
            epoch=0,
            seq=0,
            pts_us=self.pts_us,
            captured_at_us=self.captured_at_us,
            clock="file",
            width=encoded.width,
            height=encoded.height,
            source_width=encoded.source_width,
            source_height=encoded.source_height,
            region=(0, 0, encoded.source_width, encoded.source_height),
            held_us=0,
        )


def load_frames(source: str, max_side: int, limit: int | None) -> list[Frame]:
    """The first frames of a source as JPEG, in memory."""
    opened, encoder = open_source(source), Encoder(max_side=max_side, quality=Settings().jpeg_quality)
    try:
        return [
            Frame(encoder.encode(frame.picture), opened.name, frame.pts_us, frame.captured_at_us)
            for frame in islice(opened.frames(), limit)
        ]
    finally:
        opened.close()


def publish_all(epoch: Epoch, frames: Sequence[Frame]) -> None:
    for frame in frames:
        epoch.publish(frame.header(), frame.encoded.data)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class FirstFrames:
    """A source that ends after so many frames."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source, self._limit = source, limit
        self.name, self.live, self.fps = source.name, source.live, source.fps
        self.kind: Kind = source.kind
        self.clock: Clock = source.clock
        self.length = min(source.length, limit) if source.length is not None else None
        self.corrupt = 0

    def frames(self) -> Iterator[SourceFrame]:
        for frame in islice(self._source.frames(), self._limit):
            self.corrupt = self._source.corrupt
            yield frame

    def fingerprint(self) -> str:
        return f"{self._source.fingerprint()}-first-{self._limit}"

    def close(self) -> None:
        self._source.close()


class Again:
    """A source that is opened anew each time it ends, so many times; it takes as much memory as once."""

    def __init__(self, source: str, times: int) -> None:
        self._path, self._left = source, times - 1
        self._source = opened = open_source(source)
        self.name, self.live, self.fps = opened.name, opened.live, opened.fps
        self.kind: Kind = opened.kind
        self.clock: Clock = opened.clock
        self.length = opened.length * times if opened.length is not None else None
        self.corrupt = 0

    def frames(self) -> Iterator[SourceFrame]:
        while True:
            yield from self._source.frames()
            if not self._left:
                return
            self._left -= 1
            self._source.close()
            self._source = open_source(self._path)

    def fingerprint(self) -> str:
        return f"{self._source.fingerprint()}-again"

    def close(self) -> None:
        self._source.close()


def shown_source(source: str) -> str:
    """A source as reports name it: a file without its folder."""
    return source if source.startswith(DEMO) else Path(source).name


def positive(text: str) -> int:
    """An option that counts something."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
