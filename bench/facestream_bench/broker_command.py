"""`facestream bench broker`: what frames cost the broker, and how many it carries."""

from __future__ import annotations

from typing import Annotated

import typer

from facestream.commands.parameters import AsJson
from facestream_bench.options import show

HELP = """Measure what a frame costs the broker, and how many cameras it would carry.

Frames of random bytes are published, taken and committed by one client, with nothing done in between:
what is left is the broker and the way to it. The server tells its own processor time; for what a whole
core of it carries that is extrapolated. Without --redis a server is started for it, on this machine.

With --redis your own is measured, under keys of a name of their own, which are deleted afterwards. Other
work that it does meanwhile is counted too.

Example:  facestream bench broker --size 60 --size 200 --json
"""


def register(group: typer.Typer) -> None:
    group.command("broker", help=HELP)(broker)


def broker(
    size: Annotated[
        list[int] | None, typer.Option(help="Of a picture, in KB; 30, 60 and 200 unless given.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Frames a worker takes at a time.", min=1, max=64)] = 4,
    frames: Annotated[int, typer.Option(help="Frames of a round.", min=32, max=100_000)] = 320,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.", min=1, max=100)] = 5,
    redis: Annotated[
        str | None, typer.Option("--redis", help="The server to measure; one of its own unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    import sys

    from facestream.errors import UsageError
    from facestream.redaction import redact
    from facestream_bench.broker import Plan, measure

    sizes = size or [30, 60, 200]
    if not all(1 <= each <= 32_000 for each in sizes):
        raise UsageError("--size is in KB, from 1 to 32000")
    command = redact(" ".join(["facestream", *sys.argv[1:]]))
    show(measure(Plan(sizes, [batch], frames, rounds), command, redis), as_json=as_json)
