"""How far a recording is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from facestream.recording.recorder import Recorded

LINE_SECONDS = 5.0
SILENT_SECONDS = 5.0


class RecordProgress:
    """Shows progress on standard error, and says once of which of the cameras nothing comes."""

    def __init__(self, seconds: float, cameras: Sequence[str]) -> None:
        self._console, self._cameras = Console(stderr=True), cameras
        self._bar = Progress(
            TextColumn("recording"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("recording", total=seconds, figures="")
        self._line_at = time.monotonic() + LINE_SECONDS
        self._silence_said = False

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, recorded: Recorded, size_bytes: int) -> None:
        figures = f"{recorded.frames.total():,} frames · " if self._cameras else ""
        figures += f"{recorded.results:,} results · {size_bytes / 1e6:.1f} MB"
        missed = recorded.missed.total()
        figures += f" · {missed:,} missed" if missed else ""
        self._bar.update(self._task, completed=recorded.seconds, figures=figures)
        if not self._console.is_terminal and time.monotonic() > self._line_at:
            self._line_at = time.monotonic() + LINE_SECONDS
            self.say(f"recording: {recorded.seconds:.0f} s · {figures}")
        self._say_silent(recorded)

    def _say_silent(self, recorded: Recorded) -> None:
        if self._silence_said or recorded.seconds < SILENT_SECONDS:
            return
        self._silence_said = True
        silent = [camera for camera in self._cameras if not recorded.frames[camera]]
        if silent:
            self.say(f"nothing of {', '.join(silent)} so far: is it being published (facestream ps)?")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
