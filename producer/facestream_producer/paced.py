"""What is made as fast as it is taken, given at its own pace and over and over, as a camera would."""

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
    """A source as if it were a camera: live, without end. `skipped` counts what `fps` left out."""

    live = True
    clock: Clock = "receipt"
    length: int | None = None

    def __init__(self, name: str, source: Source, *, fps: float | None, stop: threading.Event) -> None:
        self.name, self.fps = name, fps or source.fps
        self.kind: Kind = source.kind
        self.skipped: Counter[SourceDrop] = Counter()
        self._source, self._limit, self._stop = source, fps, stop

    @property
    def corrupt(self) -> int:
        return self._source.corrupt

    def frames(self) -> Iterator[SourceFrame]:
        pacer, pace = Pacer(self._limit) if self._limit else None, RealTime()
        step_us = round(MICROSECONDS / (self._source.fps or _NOMINAL_FPS))
        base_us = last_us = 0
        while not self._stop.is_set():
            for frame in self._source.frames():
                last_us = base_us + frame.pts_us
                if self._stop.wait(pace.wait_seconds(last_us, time.monotonic())):
                    return
                if pacer is None or pacer.wanted(last_us):
                    yield replace(frame, pts_us=last_us, captured_at_us=now_us())
                else:
                    self.skipped[SourceDrop.FPS_LIMIT] += 1
            base_us = last_us + step_us

    def fingerprint(self) -> str:
        return ""

    def close(self) -> None:
        self._stop.set()
        self._source.close()
