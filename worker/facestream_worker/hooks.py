"""What the frame loop tells whoever listens; every method does nothing unless overridden."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.bus.taker import Delivery
from facestream.errors import BusError
from facestream_worker.pipeline import Settled


class Hooks:
    def turned(self) -> None:
        """The loop goes round, with or without frames: about once a second, or once a batch."""

    def joined(self, broker_forgot: bool) -> None:
        """The worker is known to the broker and will take frames; whether the broker lost its data before."""

    def taken(self, batch: Sequence[Delivery], seconds: float) -> None:
        """Frames came; `seconds` is how long taking them was, waiting included."""

    def stood_still(self, seconds: float) -> None:
        """The loop had computed, and waited so long for the broker."""

    def settled(self, settled: Settled, commit_seconds: float, ended: int) -> None:
        """A batch was committed; `ended` of its frames ended here, the others at another worker's hands."""

    def adopted(self, frames: int) -> None:
        """What dead workers held was put back for all to take."""

    def bus_lost(self, error: BusError) -> None:
        """The broker is gone; the loop waits and joins again."""


def tell(hooks: Sequence[Hooks], event: str, *details: object) -> None:
    """Tell all of them; one that fails never hurts the work."""
    for hook in hooks:
        try:
            getattr(hook, event)(*details)
        except Exception as error:
            import logging

            logging.getLogger(__name__).warning("hook %s failed in %s: %s", type(hook).__name__, event, error)
