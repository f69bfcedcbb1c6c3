"""How far a replay is: a bar on a terminal, nothing in a log."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facestream.contract import SourceDrop
from facestream_producer.hooks import Hooks


class ReplayProgress(Hooks):
    """Counts frames, published or dropped, while it is entered; from any number of threads."""

    def __init__(self, frames: int) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            # What is printed meanwhile goes above the bar, where both are on the terminal.
            redirect_stdout=sys.stdout.isatty(),
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("replaying", total=frames)

    def published(self, size_bytes: int) -> None:
        self._bar.advance(self._task)

    def dropped(self, reason: SourceDrop, count: int) -> None:
        self._bar.advance(self._task, count)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
