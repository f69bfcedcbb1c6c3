"""What a producer says on its standard output: JSON a line in a pipe, words on a terminal."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from facestream.bus.publisher import Epoch, Totals
from facestream.log import Say
from facestream_producer.source import Source


class Events:
    """One line when a source begins and one when it ends, whole even when several sources speak."""

    def __init__(self, say: Say) -> None:
        self.say = say
        """On standard error: what goes wrong, and what changes."""
        self._lock = threading.Lock()
        self._for_people = sys.stdout.isatty()

    def began(self, given: str, source: Source, epoch: Epoch) -> None:
        self._say(
            f"{epoch.camera}: publishing {source.name}",
            event="began",
            camera=epoch.camera,
            epoch=epoch.epoch,
            given=given,
            source=source.name,
            kind=source.kind,
            live=source.live,
            length=source.length,
            first_seq=epoch.next_seq,
        )

    def ended(self, epoch: Epoch, totals: Totals, error: str | None) -> None:
        dropped = {reason.value: count for reason, count in totals.dropped.items()}
        counts = f"{totals.captured} captured, {epoch.next_seq} published"
        counts += "".join(f", {count} {reason}" for reason, count in dropped.items())
        self._say(
            f"{epoch.camera}: {counts}" + (f"; {error}" if error else ""),
            event="ended",
            camera=epoch.camera,
            epoch=epoch.epoch,
            captured=totals.captured,
            published=epoch.next_seq,
            dropped=dropped,
            error=error,
        )

    def failed(self, name: str, error: str) -> None:
        """A source that could not even begin."""
        self._say(None, event="failed", source=name, error=error)

    def _say(self, words: str | None, **event: Any) -> None:
        with self._lock:
            if self._for_people:
                if words:
                    print(words, flush=True)
            else:
                print(json.dumps(event), flush=True)
