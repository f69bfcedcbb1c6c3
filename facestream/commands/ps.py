"""`facestream ps`: who is at work, and what each has in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from facestream.commands.parameters import AsJson, Redis

if TYPE_CHECKING:
    from facestream.bus.connection import Connection

HELP = """List the producers and workers of a broker, and what each of them holds.

Example:  facestream ps --redis redis://broker:6379/0
"""


def register(app: typer.Typer) -> None:
    app.command("ps", help=HELP)(ps)


def ps(
    redis: Redis = None,
    as_json: AsJson = False,
) -> None:
    import json

    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis
    from facestream.settings import load_settings

    settings = load_settings(redis=redis)
    connection = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
    found = {"producers": list_producers(connection), "workers": list_workers(connection)}
    connection.close()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show(found)


def list_producers(connection: Connection) -> list[dict[str, Any]]:
    """Whoever has an open epoch, with its cameras; `lost` where the lease has run out."""
    from facestream.bus.ledger import all_cameras
    from facestream.bus.overview import read_standings

    producers: dict[tuple[str, str], list[str]] = {}
    for camera, standing in sorted(read_standings(connection, all_cameras(connection)).items()):
        if standing.state in ("open", "killed"):
            producers.setdefault((standing.holder, standing.state), []).append(camera)
    return [
        {"name": name, "state": "alive" if state == "open" else "lost", "cameras": cameras}
        for (name, state), cameras in producers.items()
    ]


def list_workers(connection: Connection) -> list[dict[str, Any]]:
    from facestream.bus.overview import read_overview

    overview = read_overview(connection)
    workers = [
        {"name": name, "state": "alive" if name in overview.alive else "lost", "frames_in_hand": held}
        for name, held in sorted(overview.in_hand.items())
    ]
    if overview.orphans:
        workers.append({"name": "(nobody)", "state": "waiting", "frames_in_hand": overview.orphans})
    return workers


def _show(found: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("process", "name", "state", "holds", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for producer in found["producers"]:
        table.add_row("producer", producer["name"], producer["state"], ", ".join(producer["cameras"]))
    for worker in found["workers"]:
        table.add_row("worker", worker["name"], worker["state"], f"{worker['frames_in_hand']} frames")
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("no producer and no worker is at work on this broker")
