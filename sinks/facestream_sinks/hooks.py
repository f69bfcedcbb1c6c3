"""What the loop of a sink tells whoever listens; every method does nothing unless overridden."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.errors import ResultsMissed, SinkRefused, SinkUnavailable
from facestream_sinks.record import Record


class Hooks:
    def taken(self, records: Sequence[Record]) -> None:
        """Records came from the broker, and are on their way."""

    def sent(self, records: Sequence[Record]) -> None:
        """The receiver has them."""

    def retried(self, error: SinkUnavailable) -> None:
        """The receiver did not take them; they are sent again."""

    def refused(self, record: Record, error: SinkRefused, parked: str | None) -> None:
        """The receiver will never take this one. parked: where it lies now, None when there was no room."""

    def missed(self, missed: ResultsMissed) -> None:
        """Results were gone before they were read."""

    def done(self) -> None:
        """Everything that came is with the receiver, or parked."""


class Several(Hooks):
    """Tells each of them."""

    def __init__(self, *hooks: Hooks) -> None:
        self._all = hooks

    def taken(self, records: Sequence[Record]) -> None:
        for hooks in self._all:
            hooks.taken(records)

    def sent(self, records: Sequence[Record]) -> None:
        for hooks in self._all:
            hooks.sent(records)

    def retried(self, error: SinkUnavailable) -> None:
        for hooks in self._all:
            hooks.retried(error)

    def refused(self, record: Record, error: SinkRefused, parked: str | None) -> None:
        for hooks in self._all:
            hooks.refused(record, error, parked)

    def missed(self, missed: ResultsMissed) -> None:
        for hooks in self._all:
            hooks.missed(missed)

    def done(self) -> None:
        for hooks in self._all:
            hooks.done()
