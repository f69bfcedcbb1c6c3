"""What is made as fast as it is taken, given at its own pace, as a camera would."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from facestream.contract import SourceDrop
from facestream_producer.pacing import Pacer, RealTime
from facestream_producer.source import MICROSECONDS, Clock, Kind, Source, SourceFrame, now_us

_NOMINAL_FPS = 25.0


class Paced:
    """A source as if it were a camera: live, over and over if asked. `skipped` counts what `fps` left out."""

    live = True
    clock: Clock = "receipt"
    length: int | None = None

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        fps: float | None,
        loop: bool,
        stop: threading.Event,
        pace: RealTime | None = None,
    ) -> None:
        self.name, self.fps = name, fps or source.fps
        self._loop, self._closed = loop, False
        self.kind: Kind = source.kind
        self.skipped: Counter[SourceDrop] = Counter()
        self._source, self._limit, self._stop = source, fps, stop
        self._pace = pace or RealTime()

    @property
    def corrupt(self) -> int:
        return self._source.corrupt

    def frames(self) -> Iterator[SourceFrame]:
        pacer, pace = Pacer(self._limit) if self._limit else None, self._pace
        step_us = round(MICROSECONDS / (self._source.fps or _NOMINAL_FPS))
        base_us = last_us = 0
        while not self._ended():
            for frame in self._source.frames():
                last_us = base_us + frame.pts_us
                if self._stop.wait(pace.wait_seconds(last_us, time.monotonic())) or self._closed:
                    return
                if pacer is None or pacer.wanted(last_us):
                    yield replace(frame, pts_us=last_us, captured_at_us=now_us())
                else:
                    self.skipped[SourceDrop.FPS_LIMIT] += 1
            base_us = last_us + step_us
            if not self._loop:
                return

    def fingerprint(self) -> str:
        return ""

    def close(self) -> None:
        self._closed = True
        self._source.close()

    def _ended(self) -> bool:
        return self._closed or self._stop.is_set()
