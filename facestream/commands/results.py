"""`facestream results`: what was found, as it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import Redis

if TYPE_CHECKING:
    from threading import Event

    from facestream.commands.results_format import Format
    from facestream.results.reader import ResultReader

HELP = """Show the results of a broker: a table on a terminal, one JSON object a line in a pipe, or CSV.

Gender is *apparent*, as annotators perceived it, and so is age: not who somebody is.

Without --follow it ends at the newest. Results that were removed before they were read are told on stderr.

Examples:

facestream results

facestream results --follow --camera lobby

facestream results --since 2h --csv > faces.csv

facestream results --follow --group signage | python signage.py
"""

POLL_SECONDS = 0.5
_LOOK_SECONDS = 0.05


def register(app: typer.Typer) -> None:
    app.command("results", help=HELP)(results)


def results(
    redis: Redis = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only of this camera; may be repeated.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come, until Ctrl-C.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="From then on: 90s, 10m, 2h or 1d ago, or a time such as 2026-11-27T18:00; "
            "10m unless given, with --follow from now on.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="As one of this group, which shares them and keeps its place. --since founds it."),
    ] = None,
    as_table: Annotated[bool, typer.Option("--table", help="A table, also in a pipe.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines, also on a terminal.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV: one row a face, none without faces.")] = False,
) -> None:
    import sys
    from functools import partial

    from facestream.commands.options import require_redis
    from facestream.commands.results_format import choose_format, parse_since
    from facestream.log import OWN, Log, hear
    from facestream.results.reader import ResultReader
    from facestream.settings import load_settings
    from facestream.signals import stop_on_signals

    shown_as = choose_format(as_table=as_table, as_json=as_json, as_csv=as_csv)
    settings = load_settings(redis=redis)
    # Of what is missed, and of a broker that went away.
    hear("facestream.results", partial(Log("results", form=settings.log, lead=OWN), level="warning"))
    start = parse_since(since or ("0s" if follow else "10m"))
    with (
        stop_on_signals() as stop,
        ResultReader(
            require_redis(settings),
            group=group,
            cameras=camera,
            start=start,
            auto_acknowledge=False,  # but what was shown is done, also when this ends
            prefix=settings.prefix,
            partitions=settings.partitions,
        ) as reader,
    ):
        if not follow:
            reader.connect()
        if not show(reader, shown_as, stop, follow=follow) and sys.stdout.isatty():
            typer.echo("no results there: --since goes further back, --follow waits for them", err=True)


def show(reader: ResultReader, shown_as: Format, stop: Event, *, follow: bool) -> int:
    """Print what there is and, to follow, what comes, until asked to stop; how many results that were."""
    from facestream.results.result import Result

    for line in shown_as.head():
        typer.echo(line)
    while not stop.is_set():
        items = reader.read(wait_seconds=POLL_SECONDS if follow else _LOOK_SECONDS)
        if not items and not follow:
            break
        found = [item for item in items if isinstance(item, Result)]
        for result in found:
            for line in shown_as.lines(result):
                typer.echo(line)
        reader.acknowledge(*found)
    return reader.counts.results
