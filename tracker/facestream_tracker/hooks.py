"""What the loop tells whoever listens; every method does nothing unless overridden."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from facestream.errors import BusError
from facestream_tracker.camera import Said
from facestream_tracker.partition import Partition


class Hooks:
    def turned(self) -> None:
        """The loop has come round once more; called often."""

    def began(self, partitions: int) -> None:
        """The tracker is known to the broker; this is how many partitions there are."""

    def took_over(self, partition: Partition) -> None:
        """A partition is ours now, with all that was known of it."""

    def lost(self, partition: Partition, *, given: bool) -> None:
        """A partition is another's: given away, or taken because this tracker was silent too long."""

    def missed(self, partition: Partition, results: int) -> None:
        """So many results were removed before this tracker came to read them."""

    def settled(self, partition: Partition, said: Said, seconds: float) -> None:
        """What became of its results was published and kept."""

    def looked(self, partitions: Collection[Partition]) -> None:
        """All that is ours, once a second."""

    def bus_lost(self, error: BusError) -> None:
        """A broker is gone; the loop waits, and goes on from what was kept."""


def tell(hooks: Sequence[Hooks], event: str, *details: object, **options: object) -> None:
    """Tell all of them; one that fails never hurts the work."""
    for hook in hooks:
        try:
            getattr(hook, event)(*details, **options)
        except Exception as error:
            name = type(hook).__name__
            logging.getLogger(__name__).warning("hook %s failed in %s: %s", name, event, error)
