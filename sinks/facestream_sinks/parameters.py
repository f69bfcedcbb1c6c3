"""Parameters that every sink takes, said the same way everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Only results of this camera; may be repeated.")
]
Group = Annotated[
    str | None,
    typer.Option(
        help="The consumer group whose place the broker keeps; by receiver and cameras unless given.",
        metavar="NAME",
    ),
]
Start = Annotated[
    str, typer.Option(help="Where a new group begins: latest, earliest, or so long ago, such as 10m.")
]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer.", min=0.1, max=300)]
CaFile = Annotated[
    Path | None, typer.Option(help="Trust this authority alone, a PEM file; the system's unless given.")
]
AllowCleartext = Annotated[
    bool, typer.Option("--allow-cleartext", help="Send results over a network without TLS.")
]
Parked = Annotated[
    Path | None,
    typer.Option(
        help="Where records go that the receiver will never take; a file of the user's state folder unless "
        "given.",
        metavar="FILE",
    ),
]


class Common(NamedTuple):
    """What every sink is told: see the options of the same names."""

    redis: str | None
    cameras: list[str] | None
    group: str | None
    start: str
    metrics_port: int | None
    metrics_host: str | None
    parked: Path | None = None
