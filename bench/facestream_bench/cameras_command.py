"""`facestream bench cameras`: how many cameras a core carries."""

from __future__ import annotations

from typing import Annotated

import typer

from facestream.commands.parameters import AsJson, Engine
from facestream_bench.options import Attributes, MaxSide, Source, one_thread_a_library, show, typed_command

HELP = """Measure how many live cameras one worker on one core sustains.

Cameras are added until the results grow older than 500 ms (p95) or more than one frame in a hundred is
dropped. They send frames of your clip that were encoded before: capturing costs apart.

Example:  facestream bench cameras --source clip.mp4 --fps 5 --max-side 640
"""


def register(group: typer.Typer) -> None:
    group.command("cameras", help=HELP)(cameras)


def cameras(
    source: Source = "demo:",
    max_side: MaxSide = 640,
    attributes: Attributes = "gender",
    engine: Engine = "auto",
    fps: Annotated[float, typer.Option(help="Frames each camera sends in a second.", min=0.1, max=100)] = 5.0,
    seconds: Annotated[float, typer.Option(help="How long to look at each number.", min=1)] = 10.0,
    first: Annotated[int, typer.Option(help="Cameras to begin with.", min=1, max=1000)] = 8,
    most: Annotated[int, typer.Option(help="Cameras to stop at, however well it goes.", min=1)] = 1000,
    as_json: AsJson = False,
) -> None:
    one_thread_a_library()
    from facestream_bench.cameras import measure
    from facestream_bench.live import Scene

    scene = Scene(source, max_side, attributes, engine, fps)
    show(measure(scene, seconds, first, most, typed_command()), as_json=as_json)
