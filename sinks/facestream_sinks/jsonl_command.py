"""`facestream sink jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import MetricsHost, MetricsPort, Redis
from facestream_sinks.parameters import Cameras, Common, Group, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from facestream.settings import Settings
    from facestream_sinks.sink import Sink

HELP = """Write results to files of JSON Lines, one object a line.

One file grows: the one named, or results.jsonl in the folder named. When it is due it gets a name of its
own, such as results-20261127T210000Z-0.jsonl, and never changes again. A line is on the disk before the
broker is told. A full disk is waited for.

Examples:

facestream sink jsonl /srv/results --rotate-minutes 60 --gzip --keep-files 168

facestream sink jsonl lobby.jsonl --camera lobby --rotate-mb 100 --keep-mb 1000
"""


def jsonl(
    path: Annotated[Path, typer.Argument(help="A file such as lobby.jsonl, or a folder.")],
    redis: Redis = None,
    camera: Cameras = None,
    group: Group = None,
    start: Start = "latest",
    rotate_mb: Annotated[
        float, typer.Option(help="Finish the file before it is larger, in MB.", min=0.001, max=1_000_000)
    ] = 64.0,
    rotate_minutes: Annotated[
        float | None,
        typer.Option(help="Finish it at every whole multiple of this, UTC: 60 is each hour.", min=0.01),
    ] = None,
    compress: Annotated[bool, typer.Option("--gzip", help="Compress finished files.")] = False,
    keep_files: Annotated[
        int | None, typer.Option(help="Delete the oldest finished files over so many.", min=0)
    ] = None,
    keep_mb: Annotated[
        float | None, typer.Option(help="Delete the oldest finished files over so many MB.", min=0)
    ] = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> int:
    from facestream_sinks.finished import Finished
    from facestream_sinks.jsonl import JsonLinesSink
    from facestream_sinks.running import absolute, carry

    def finished(active: Path) -> Finished:
        keep_bytes = None if keep_mb is None else int(keep_mb * 1e6)
        return Finished(active, compress=compress, keep_files=keep_files, keep_bytes=keep_bytes)

    def make_sink(_settings: Settings, _say: Callable[[str], None]) -> Sink:
        seconds = None if rotate_minutes is None else rotate_minutes * 60
        return JsonLinesSink(path, finished, rotate_bytes=int(rotate_mb * 1e6), rotate_seconds=seconds)

    common = Common(redis, camera, group, start, metrics_port, metrics_host)
    return carry(common, "jsonl", absolute(path), make_sink)
