"""Parameters that several benches take, and how each shows what it found."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facestream_bench.report import Report

Source = Annotated[str, typer.Option(help="A clip, a folder of pictures, or demo: for the built-in scene.")]
MaxSide = Annotated[int, typer.Option(help="Longer side of a frame, in pixels.", min=64, max=8192)]
Attributes = Annotated[str, typer.Option(help="What to say of each face: none, gender or gender,age.")]
Batch = Annotated[
    int | None, typer.Option(help="Frames taken at a time; as workers are set unless given.", min=1, max=64)
]


def one_thread_a_library() -> None:
    """As a worker runs; before NumPy is loaded."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


def typed_command() -> str:
    """What was typed, to be repeated; a source by its name only."""
    return " ".join(["facestream", *(argument.rpartition("/")[2] or argument for argument in sys.argv[1:])])


def show(report: Report, *, as_json: bool) -> None:
    """JSON on standard output, or the tables."""
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
        return
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=110)
    report.print(console)
