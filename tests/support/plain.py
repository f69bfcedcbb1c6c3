"""A source and a pipeline that cost next to nothing, for the real loops of producer and worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from facestream.bus.taker import Delivery, Outcome
from facestream.contract import FrameHeader, describe_result, pack_result
from facestream_models.stages import Stages
from facestream_producer.source import Clock, Kind, SourceFrame
from facestream_worker.pipeline import Settled

SIDE = 16
FRAME_US = 40_000


class PlainSource:
    """So many tiny pictures. before: what is done when a frame is asked for the first time, by its number.

    unencodable: frames whose picture cannot be encoded. live: as a camera, which cannot start again.
    """

    kind: Kind = "file"
    clock: Clock = "file"
    fps: float | None = None

    def __init__(
        self,
        frames: int,
        *,
        live: bool = False,
        before: Mapping[int, Callable[[], object]] | None = None,
        unencodable: Sequence[int] = (),
        name: str = "plain",
    ) -> None:
        self.name, self.live = name, live
        self.length: int | None = frames
        self._count, self.corrupt = frames, 0
        self._before, self._unencodable = dict(before or {}), frozenset(unencodable)
        self._picture = np.full((SIDE, SIDE, 3), 99, np.uint8)

    def frames(self) -> Iterator[SourceFrame]:
        for number in range(self._count):
            self._before.pop(number, lambda: None)()
            yield SourceFrame(self._picture_of(number), number * FRAME_US, time.time_ns() // 1000)

    def fingerprint(self) -> str:
        return f"{self.name}-{self._count}"

    def close(self) -> None:
        pass

    def _picture_of(self, number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        if number in self._unencodable:
            return np.zeros((1, 20_000, 3), np.uint8)  # wider than any picture may be
        return self._picture


class PlainPipeline:
    """Every frame ends as a result without faces."""

    def __init__(self, worker: str = "plain") -> None:
        self._worker = worker

    def settle(self, batch: Sequence[Delivery]) -> Settled:
        return Settled([self._complete(delivery) for delivery in batch], [], Stages())

    def _complete(self, delivery: Delivery) -> Outcome:
        header = FrameHeader.unpack(delivery.header)
        result = describe_result(
            header,
            [],
            models={},
            timings_ms={},
            worker=self._worker,
            completed_at_us=time.time_ns() // 1000,
        )
        return Outcome(delivery, pack_result(result), header.held_us)
