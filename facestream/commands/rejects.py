"""`facestream rejects`: which frames were refused, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import AsJson, Redis

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facestream.contract import RejectMap

HELP = """Show the frames that ended without a result, and why; never their pictures.

Frames that were dropped because nobody had time for them (too_old, trimmed_unread) are counted in
`facestream audit` and not listed here.

Examples:

facestream rejects --last 20

facestream rejects --follow --camera lobby --json
"""

POLL_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    app.command("rejects", help=HELP)(rejects)


def rejects(
    redis: Redis = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only of this camera; may be repeated.")] = None,
    last: Annotated[int, typer.Option(help="How many of the latest to show.", min=0, max=10_000)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    from facestream.bus.overview import Observer
    from facestream.bus.tail import tail_rejects
    from facestream.commands.options import require_redis
    from facestream.settings import load_settings
    from facestream.signals import stop_on_signals

    settings = load_settings(redis=redis)
    wanted = set(camera or [])
    with stop_on_signals() as stop:
        connection = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
        tail = tail_rejects(connection, earlier=last)
        found: list[RejectMap] = []
        while batch := tail.read(0.001):
            found += [reject for reject in batch if not wanted or reject["camera"] in wanted]
        found.sort(key=lambda reject: reject["refused_at_us"])
        _show(found[-last:] if last else [], as_json)
        if tail.unreadable:
            typer.echo(f"{tail.unreadable} entries there are no rejects of this version", err=True)
        while follow and not stop.is_set():
            _show([r for r in tail.read(POLL_SECONDS) if not wanted or r["camera"] in wanted], as_json)
        connection.close()


def _show(rejects: Iterable[RejectMap], as_json: bool) -> None:
    from datetime import datetime

    from facestream.json_line import json_line

    for reject in rejects:
        if as_json:
            typer.echo(json_line(reject))
            continue
        when = datetime.fromtimestamp(reject["refused_at_us"] / 1e6).astimezone().isoformat(" ", "seconds")
        frame = (
            f"frame {reject['seq']} of epoch {reject['epoch']}"
            if "seq" in reject
            else f"entry {reject['entry']}"
        )
        attempts = f" after {reject['attempts']} attempts" if reject["attempts"] > 1 else ""
        typer.echo(f"{when}  {reject['camera']}  {reject['reason']}  {frame}{attempts}: {reject['error']}")
