"""What every inference library is made to look like, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from facestream.errors import ModelError
from facestream_models.faces import Floats
from facestream_models.model import Layout


class Session(Protocol):
    """A network ready to run on one thread; not to be shared between threads.

    fixed_batch: how many inputs each run must hold; None where any number will do.
    best_batch: how many pictures of one size a run is best given, where any number will do.
    layout: how the pixels of a run are to lie in memory.
    """

    @property
    def fixed_batch(self) -> int | None: ...

    @property
    def best_batch(self) -> int: ...

    @property
    def layout(self) -> Layout: ...

    def run(self, batch: Floats) -> list[Floats]:
        """The outputs asked for at opening, in that order; ModelError if the network refuses the batch."""
        ...


def only_input(name: str, inputs: Sequence[Any]) -> Any:
    if len(inputs) != 1:
        raise ModelError(f"{name} takes {len(inputs)} inputs: only networks of one input will do")
    return inputs[0]


def wanted_outputs(name: str, wanted: tuple[str, ...], there: list[str]) -> list[str]:
    missing = [output for output in wanted if output not in there]
    if missing or not there:
        lacking = ", ".join(missing) or "at all"
        raise ModelError(f"{name} has no output {lacking}, only {', '.join(there)}: is it the right network?")
    return list(wanted) or there[:1]


def fixed_size(first: Sequence[Any]) -> int | None:
    """The batch a shape insists on; names and -1 stand for any."""
    return first[0] if first and isinstance(first[0], int) and first[0] > 0 else None


def refused(name: str, batch: Floats, error: Exception) -> ModelError:
    return ModelError(f"{name} refused an input of shape {batch.shape} ({batch.dtype}): {first_line(error)}")


def first_line(error: Exception) -> str:
    """The first line of a library's message, short enough to read."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
