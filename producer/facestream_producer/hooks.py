"""What the capture loop tells whoever listens; every method does nothing unless overridden."""

from __future__ import annotations

from facestream.bus.publisher import Totals
from facestream.contract import SourceDrop
from facestream.errors import FacestreamError


class Hooks:
    def turned(self) -> None:
        """The loop goes round: with every frame, and while it waits for the broker or for room."""

    def watched(self, loop: str) -> None:
        """A loop of this name turns; it says so at least every few seconds, until it is `left`."""

    def left(self, loop: str) -> None:
        """That loop is over."""

    def reached(self) -> None:
        """The broker answered: a source has its epoch, or the registry of cameras was read."""

    def published(self, size_bytes: int) -> None:
        """A frame is in the broker."""

    def dropped(self, reason: SourceDrop, count: int) -> None:
        """Captured frames will not be published."""

    def rewound(self, seq: int) -> None:
        """The broker forgot frames; the source is sent again from `seq`."""

    def troubled(self, error: FacestreamError) -> None:
        """Something went wrong that the loop deals with: the broker is away, a frame cannot be encoded."""

    def recording(self, is_recorded: bool) -> None:
        """Somebody began, or ended, to keep this camera's pictures (`facestream record`)."""

    def ended(self, totals: Totals) -> None:
        """The epoch is over, and the broker knows."""


class Several(Hooks):
    """Tells each of them."""

    def __init__(self, *hooks: Hooks) -> None:
        self._all = hooks

    def turned(self) -> None:
        for hooks in self._all:
            hooks.turned()

    def watched(self, loop: str) -> None:
        for hooks in self._all:
            hooks.watched(loop)

    def left(self, loop: str) -> None:
        for hooks in self._all:
            hooks.left(loop)

    def reached(self) -> None:
        for hooks in self._all:
            hooks.reached()

    def published(self, size_bytes: int) -> None:
        for hooks in self._all:
            hooks.published(size_bytes)

    def dropped(self, reason: SourceDrop, count: int) -> None:
        for hooks in self._all:
            hooks.dropped(reason, count)

    def rewound(self, seq: int) -> None:
        for hooks in self._all:
            hooks.rewound(seq)

    def troubled(self, error: FacestreamError) -> None:
        for hooks in self._all:
            hooks.troubled(error)

    def recording(self, is_recorded: bool) -> None:
        for hooks in self._all:
            hooks.recording(is_recorded)

    def ended(self, totals: Totals) -> None:
        for hooks in self._all:
            hooks.ended(totals)


def said_of_recording(is_recorded: bool) -> str:
    return f"its pictures are {'being' if is_recorded else 'no longer'} recorded (facestream record)"
