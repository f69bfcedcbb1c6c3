"""What the capture loop tells whoever listens; every method does nothing unless overridden."""

from __future__ import annotations

from facestream.bus.publisher import Totals
from facestream.contract import SourceDrop
from facestream.errors import FacestreamError


class Hooks:
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
