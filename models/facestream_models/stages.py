"""How long each stage of an analysis took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stages(dict[str, float]):
    """Seconds spent by stage name; measuring a stage twice adds up."""

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self[stage] = self.get(stage, 0.0) + perf_counter() - began
