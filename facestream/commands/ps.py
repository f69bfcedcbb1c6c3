"""`facestream ps`: who is at work, and what each has in hand."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facestream.commands.parameters import AsJson, Redis
from facestream.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from facestream.bus.connection import Connection

HELP = """List the producers and workers of a broker, and what each of them holds.

Workers that serve metrics say where, and --prometheus-sd writes that as the file Prometheus discovers them
from (file_sd_configs). An address of a machine's own loopback is left out on every other machine: start
workers with --metrics-host to have them scraped from elsewhere.

Example:  facestream ps --redis redis://broker:6379/0

Example:  facestream ps --prometheus-sd /etc/prometheus/facestream-workers.json --every 15
"""


def register(app: typer.Typer) -> None:
    app.command("ps", help=HELP)(ps)


def ps(
    redis: Redis = None,
    as_json: AsJson = False,
    prometheus_sd: Annotated[
        str | None,
        typer.Option(help="Write the workers' metrics addresses here for Prometheus; - for stdout."),
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="With --prometheus-sd, again every so many seconds.", min=1)
    ] = None,
) -> None:
    import json

    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis
    from facestream.settings import load_settings

    settings = load_settings(redis=redis)
    if every and prometheus_sd is None:
        raise UsageError("--every goes with --prometheus-sd: say which file to write")
    url = require_redis(settings)

    def connect() -> Observer:
        return Observer(url, prefix=settings.prefix, partitions=settings.partitions)

    if prometheus_sd is not None:
        _tell_prometheus(connect, prometheus_sd, every)
        return
    with contextlib.closing(connect()) as connection:
        found = {"producers": list_producers(connection), "workers": list_workers(connection)}
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show(found)


def _tell_prometheus(connect: Callable[[], Connection], where: str, every_seconds: float | None) -> None:
    """Write the file; again and again if asked. While the broker is away what it said last stays."""
    from facestream.bus.addresses import read_addresses
    from facestream.bus.overview import read_overview
    from facestream.errors import BusUnavailable
    from facestream.prometheus_targets import targets_of, write_targets
    from facestream.signals import stop_on_signals

    def write() -> None:
        with contextlib.closing(connect()) as connection:
            alive = read_overview(connection).alive
            write_targets(targets_of(read_addresses(connection, alive)), where)

    write()
    if every_seconds is None:
        return
    trouble = ""
    with stop_on_signals() as stop:
        while not stop.wait(every_seconds):
            try:
                write()
                said = ""
            except BusUnavailable as error:
                said = str(error)
            if said != trouble:
                typer.echo(f"facestream: {said or 'the broker is back'}", err=True)
            trouble = said


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
    from facestream.bus.addresses import read_addresses
    from facestream.bus.overview import read_overview

    overview = read_overview(connection)
    addresses = read_addresses(connection, overview.in_hand)
    workers: list[dict[str, Any]] = [
        {
            "name": name,
            "state": "alive" if name in overview.alive else "lost",
            "frames_in_hand": held,
            "metrics": addresses.get(name),
        }
        for name, held in sorted(overview.in_hand.items())
    ]
    if overview.orphans:
        nobody = {"name": "(nobody)", "state": "waiting", "frames_in_hand": overview.orphans}
        workers.append(nobody | {"metrics": None})
    return workers


def _show(found: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from facestream.printable import printable

    table = Table(
        "process", "name", "state", "holds", "metrics", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for producer in found["producers"]:
        name = Text(printable(producer["name"]))  # not markup: a producer may call itself anything
        table.add_row("producer", name, producer["state"], ", ".join(producer["cameras"]), "")
    for worker in found["workers"]:
        table.add_row(
            "worker",
            worker["name"],
            worker["state"],
            f"{worker['frames_in_hand']} frames",
            worker["metrics"] or "",
        )
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("no producer and no worker is at work on this broker")
