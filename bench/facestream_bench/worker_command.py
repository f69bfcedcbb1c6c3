"""`facestream bench worker`: how many frames a core does, and what broker and loop take of them."""

from __future__ import annotations

from typing import Annotated

import typer

from facestream.commands.parameters import AsJson, Engine
from facestream_bench.options import (
    Attributes,
    Batch,
    MaxSide,
    Source,
    one_thread_a_library,
    show,
    typed_command,
)

HELP = """Measure how many of a clip's frames one worker does in a second on one core.

Beside it runs the bare loop: the same networks over the same frames without a broker. Both take turns,
so their ratio holds on a busy machine too. JSON has `worker_fps`, `loop_fps`, `ratio`, milliseconds by
stage, and what the processor can do.

Example:  facestream bench worker --source clip.mp4 --max-side 640 --attributes gender --json
"""


def register(group: typer.Typer) -> None:
    group.command("worker", help=HELP)(worker)


def worker(
    source: Source = "demo:",
    max_side: MaxSide = 640,
    attributes: Attributes = "gender",
    engine: Engine = "auto",
    frames: Annotated[int, typer.Option(help="Frames of a round, at most.", min=1)] = 60,
    repeat: Annotated[int, typer.Option(help="Rounds of each loop.", min=1)] = 15,
    batch: Batch = None,
    as_json: AsJson = False,
) -> None:
    one_thread_a_library()
    from facestream.settings import load_settings
    from facestream_bench.worker import Plan, measure

    taken = batch or load_settings().batch
    plan = Plan(source, max_side, attributes, engine, frames, repeat, taken)
    show(measure(plan, typed_command()), as_json=as_json)
