"""From deliveries to outcomes: decode, detect, align, classify, describe."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, cast

from facestream.bus.taker import Delivery, Outcome
from facestream.contract import (
    DropReason,
    FaceMap,
    FrameHeader,
    RejectMap,
    describe_result,
    pack_reject,
    pack_result,
)
from facestream.errors import FrameRefused
from facestream.names import MAX_LENGTH
from facestream_models import Analyser, Faces
from facestream_models.stages import Stages
from facestream_worker.accept import Pixels, accept_header, decode_pixels
from facestream_worker.zone import in_zone

_ERROR_CHARACTERS = 300
# So much is decoded at a time: one picture of the largest size, or a batch of ordinary ones.
PIXELS_AT_ONCE = 100_000_000


class Accepted(NamedTuple):
    """A delivery whose header can be believed; its picture was not looked at yet."""

    delivery: Delivery
    header: FrameHeader


@dataclass(frozen=True, slots=True)
class Frame:
    """An accepted delivery: what it says of itself, and its pixels."""

    delivery: Delivery
    header: FrameHeader
    pixels: Pixels


@dataclass(slots=True)
class Settled:
    """What became of one batch; `faces` are those of the results, `stages` in seconds for the whole batch."""

    outcomes: list[Outcome]
    faces: list[Faces]
    stages: Stages


class Pipeline:
    """Analyses batches of deliveries. A frame that cannot be analysed is refused; the others go on.

    decoders: threads that decode pictures. A worker of one core has one, which is its own; where a GPU
    computes, one core's decoding would leave it idle.
    """

    def __init__(self, analyser: Analyser, worker: str, max_attempts: int, *, decoders: int = 1) -> None:
        self._analyser, self._worker, self._max_attempts = analyser, worker, max_attempts
        self._decoders = ThreadPoolExecutor(decoders, "decode") if decoders > 1 else None
        self._models = dict(analyser.models)

    def settle(self, batch: Sequence[Delivery]) -> Settled:
        """Exactly one outcome for every delivery."""
        settled = Settled([], [], Stages())
        accepted: list[Accepted] = []
        for delivery in batch:
            with self._refusing(delivery, settled):
                accepted.append(Accepted(delivery, accept_header(delivery, self._max_attempts)))
        for part in in_parts(accepted, PIXELS_AT_ONCE):
            self._settle_part(part, settled)
        return settled

    def _settle_part(self, part: Sequence[Accepted], settled: Settled) -> None:
        stages, frames = Stages(), []
        with stages.measure("decode"):
            for accepted, decoded in zip(part, self._decoded(part), strict=True):
                if isinstance(decoded, FrameRefused):
                    settled.outcomes.append(self._refuse(accepted.delivery, decoded))
                else:
                    frames.append(decoded)
        if frames:
            self._analyse(frames, stages, settled)
        for stage, seconds in stages.items():
            settled.stages[stage] = settled.stages.get(stage, 0.0) + seconds

    def _decoded(self, part: Sequence[Accepted]) -> Iterable[Frame | FrameRefused]:
        return self._decoders.map(_decode, part) if self._decoders else map(_decode, part)

    def _analyse(self, frames: list[Frame], stages: Stages, settled: Settled) -> None:
        try:
            found = self._find(frames, stages)
        except Exception:
            # One frame of the batch upsets a model: alone, each shows whether it is the one.
            for frame in frames:
                with self._refusing(frame.delivery, settled):
                    self._analyse_alone(frame, settled)
            return
        timings_ms = {stage: round(s * 1000 / len(frames), 3) for stage, s in stages.items()}
        for frame, faces in zip(frames, found, strict=True):
            self._complete(frame, faces, timings_ms, settled)

    def _analyse_alone(self, frame: Frame, settled: Settled) -> None:
        stages = Stages()
        try:
            [faces] = self._find([frame], stages)
        except Exception as error:
            raise FrameRefused(DropReason.MODEL_ERROR, f"{type(error).__name__}: {error}") from None
        timings_ms = {stage: round(seconds * 1000, 3) for stage, seconds in stages.items()}
        self._complete(frame, faces, timings_ms, settled)

    def _find(self, frames: list[Frame], stages: Stages) -> list[Faces]:
        return self._analyser.analyse(
            [frame.pixels for frame in frames],
            attributes=[frame.header.attributes for frame in frames],
            stages=stages,
            choose=[in_zone(frame.header) for frame in frames],
        )

    def _complete(self, frame: Frame, faces: Faces, timings_ms: dict[str, float], settled: Settled) -> None:
        result = describe_result(
            frame.header,
            cast(list[FaceMap], faces.to_maps()),
            models=self._models,
            timings_ms=timings_ms,
            worker=self._worker,
            completed_at_us=time.time_ns() // 1000,
        )
        settled.outcomes.append(Outcome(frame.delivery, pack_result(result), frame.header.held_us))
        settled.faces.append(faces)

    @contextmanager
    def _refusing(self, delivery: Delivery, settled: Settled) -> Iterator[None]:
        try:
            yield
        except FrameRefused as refusal:
            settled.outcomes.append(self._refuse(delivery, refusal))

    def _refuse(self, delivery: Delivery, refusal: FrameRefused) -> Outcome:
        reject: RejectMap = {
            "v": 1,
            "camera": delivery.camera.decode(errors="replace")[:MAX_LENGTH],
            "reason": refusal.reason.value,
            "error": str(refusal)[:_ERROR_CHARACTERS],
            "entry": delivery.entry,
            "attempts": delivery.attempts,
            "worker": self._worker,
            "refused_at_us": time.time_ns() // 1000,
        }
        try:
            header = FrameHeader.unpack(delivery.header)
            reject |= {"epoch": header.epoch, "seq": header.seq}
        except FrameRefused:
            pass  # the header is what is wrong with it
        return Outcome(delivery, pack_reject(reject), reason=refusal.reason)


def _decode(accepted: Accepted) -> Frame | FrameRefused:
    try:
        return Frame(*accepted, decode_pixels(accepted.header, accepted.delivery))
    except FrameRefused as refusal:
        return refusal


def in_parts(accepted: Iterable[Accepted], pixels_at_once: int) -> Iterator[list[Accepted]]:
    """The frames in order, together as many as have no more pixels than that; at least one at a time."""
    part: list[Accepted] = []
    pixels = 0
    for each in accepted:
        size = each.header.width * each.header.height
        if part and pixels + size > pixels_at_once:
            yield part
            part, pixels = [], 0
        part.append(each)
        pixels += size
    if part:
        yield part
