"""A pull with its progress shown, where somebody is looking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from facestream_models.model import Model
from facestream_models.store import Pulled, WeightsStore


def pull_shown(store: WeightsStore, models: Iterable[Model]) -> Iterator[Pulled]:
    """`store.pull_all`, with a bar on stderr if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from store.pull_all(models)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = _Bar()
    pulls = store.pull_all(models, bar)
    while True:
        # The bar is gone before a pull is handed over, so that what is printed then stands on its own.
        with Progress(*columns, console=console, transient=True) as bars:
            bar.show_in(bars)
            pulled = next(pulls, None)
        if pulled is None:
            return
        yield pulled


class _Bar:
    """One bar, that of the source being tried."""

    def show_in(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def __call__(self, source: str, done_bytes: int, total_bytes: int, /) -> None:
        if self._task is None:
            self._task = self._bars.add_task(source)
        self._bars.update(self._task, description=source, completed=done_bytes, total=total_bytes)
