"""Where frames come from: the one interface files, folders, devices and the demo scene share."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from facestream.contract import FrameHeader, SourceDrop
from facestream.errors import SourceUnreadable

if TYPE_CHECKING:
    import av

Kind = Literal["file", "folder", "device", "demo", "camera", "recording"]
Clock = Literal["file", "receipt", "sender"]
Pixels = NDArray[np.uint8]

# A decoded picture takes up to four bytes a pixel and is converted twice: what is larger is refused
# by its header, before anything is allocated for it.
MAX_PIXELS = 100_000_000
MAX_SIDE = 16_384
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A picture as it was published before: passed on unchanged, with what its header asks of the worker."""

    header: FrameHeader
    data: bytes


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One captured frame, upright.

    picture: a decoded `av.VideoFrame`, BGR pixels (height, width, 3) uint8, or one that was recorded.
    pts_us: presentation time from the start of the source in µs, never decreasing; of a recording, as it was.
    captured_at_us: wall clock when it was read, µs since the epoch.
    """

    picture: av.VideoFrame | Pixels | Recorded
    pts_us: int
    captured_at_us: int


@runtime_checkable
class Source(Protocol):
    """A stream of frames.

    name: as given, without its folder; never a credential.
    live: a live source drops what is not taken in time; any other waits.
    length: frames to expect, an estimate; None when unknown.
    fps: nominal frames per second; None when unknown.
    corrupt: frames so far (of the latest `frames()`) that arrived and could not be decoded.
    """

    name: str
    kind: Kind
    live: bool
    clock: Clock
    length: int | None
    fps: float | None

    @property
    def corrupt(self) -> int: ...

    def frames(self) -> Iterator[SourceFrame]:
        """Frames in presentation order; a source that is not live starts again on every call.

        Raises SourceBroken, after everything that could be decoded, when the source broke off.
        """

    def fingerprint(self) -> str:
        """The same for as long as the source gives the same frames."""

    def close(self) -> None:
        """End what `frames()` gives; calling it twice does nothing more."""


@runtime_checkable
class Skipping(Protocol):
    """A source that leaves out frames it received: `skipped` counts them by reason, ever growing."""

    @property
    def skipped(self) -> Counter[SourceDrop]: ...


def now_us() -> int:
    return time.time_ns() // 1000


def check_size(name: str, width: int, height: int) -> None:
    """Refuse dimensions that only a mistake or an attack would have."""
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise SourceUnreadable(
            f"{name} says its pictures are {width}x{height}: the limit is {MAX_SIDE} a side and "
            f"{MAX_PIXELS // 1_000_000} megapixels; scale it down first"
        )
