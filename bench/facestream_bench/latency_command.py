"""`facestream bench latency`: from a frame's capture to its result in a consumer's hands."""

from __future__ import annotations

from typing import Annotated

import typer

from facestream.commands.parameters import AsJson, Engine
from facestream_bench.options import Attributes, MaxSide, Source, one_thread_a_library, show, typed_command

HELP = """Measure how long a frame takes from its capture to its result in a consumer's hands.

One camera sends frames that are ready (a clip's, encoded before), one worker waits for them, and a
consumer waits for the results: what a system takes that has nothing else to do.

Example:  facestream bench latency --source clip.mp4 --json
"""


def register(group: typer.Typer) -> None:
    group.command("latency", help=HELP)(latency)


def latency(
    source: Source = "demo:",
    max_side: MaxSide = 640,
    attributes: Attributes = "gender",
    engine: Engine = "auto",
    fps: Annotated[float, typer.Option(help="Frames the camera sends in a second.", min=0.1, max=100)] = 10.0,
    seconds: Annotated[float, typer.Option(help="How long to look.", min=1)] = 30.0,
    as_json: AsJson = False,
) -> None:
    one_thread_a_library()
    from facestream_bench.latency import measure
    from facestream_bench.live import Scene

    scene = Scene(source, max_side, attributes, engine, fps)
    show(measure(scene, seconds, typed_command()), as_json=as_json)
