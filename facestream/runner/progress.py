"""How far a run is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from facestream.bus.ledger import Ledger
from facestream.runner.tally import Tally

LINE_SECONDS = 5.0


class Progress:
    """Says things and shows progress on standard error; both from one thread or several."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("starting", total=None, rate="")
        self._line_at = time.monotonic()

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, tally: Tally, ledger: Ledger) -> None:
        dropped = sum(ledger.dropped.values()) + sum(ledger.dropped_at_source.values())
        age = tally.age_ms(0.5)
        figures = f"{tally.rate:.1f} frames/s · {tally.faces:,} faces · {dropped} dropped"
        figures += f" · age {age} ms" if age is not None else ""
        done = tally.results + sum(ledger.dropped.values())
        self._bars.update(
            self._task,
            description="frames" if tally.results else "starting",
            completed=done,
            total=tally.length,
            rate=figures,
        )
        if not self._console.is_terminal and time.monotonic() - self._line_at > LINE_SECONDS:
            self._line_at = time.monotonic()
            of = f" of {tally.length}" if tally.length else ""
            self.say(f"{done}{of} frames · {figures}")

    def end(self) -> None:
        """No more bars, and the cursor is back, whatever kills us next."""
        self._bars.stop()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
