"""Which frames' results were given already."""

from __future__ import annotations

Frame = tuple[str, int, int]
"""(camera, epoch, seq)."""

REMEMBERED = 32_768


class Seen:
    """The last REMEMBERED frames: what repeats itself later than that is taken for new."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._frames: dict[Frame, None] = {}

    def add(self, frame: Frame) -> bool:
        """False when it is known."""
        frames = self._frames
        if frame in frames:
            return False
        frames[frame] = None
        if len(frames) > self._most:
            del frames[next(iter(frames))]
        return True

    def forget(self, frame: Frame) -> None:
        self._frames.pop(frame, None)
