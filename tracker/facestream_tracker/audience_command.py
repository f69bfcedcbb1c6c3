"""`facestream audience`: how many came, minute by minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import Redis

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence

    from facestream.bus.overview import Observer
    from facestream.contract import AudienceMap

HELP = """Show how many people came, minute by minute, as `facestream tracker` has counted them.

A minute whose figures may still change is marked: late results correct it once. `left` may be added up over
a day, `people` may not: who stays is in every minute. Labels are *apparent*.

Examples:

facestream audience --last 60

facestream audience lobby --follow

facestream audience --last 1000 --json > audience.jsonl
"""

MOST = 10_000
WAIT_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    app.command("audience", help=HELP)(audience)


def audience(
    cameras: Annotated[
        list[str] | None, typer.Argument(metavar="CAMERA", help="Cameras by name; all unless given.")
    ] = None,
    redis: Redis = None,
    last: Annotated[
        int, typer.Option(help="So many of the newest minutes of each camera.", min=1, max=MOST)
    ] = 15,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> int:
    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis
    from facestream.names import check_camera_name
    from facestream.settings import load_settings
    from facestream.signals import stop_on_signals

    names = [check_camera_name(name) for name in cameras or ()]
    settings = load_settings(redis=redis)
    observer = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
    with stop_on_signals() as stop:
        try:
            _show(observer, names, last, stop, follow=follow, as_json=as_json)
        finally:
            observer.close()
    return 0


def _show(
    observer: Observer, names: Sequence[str], last: int, stop: threading.Event, *, follow: bool, as_json: bool
) -> None:
    from facestream.bus.tail import tail_audience
    from facestream_tracker.audience_table import newest

    tail = tail_audience(observer, earlier=MOST)
    minutes: list[AudienceMap] = []
    while not stop.is_set() and (page := tail.read(0.001)):
        minutes += page
    shown = newest(_of(names, minutes), last)
    _print(shown, as_json=as_json, is_first=True)
    if not shown and not follow:
        whose = f" of {', '.join(names)}" if names else ""
        typer.echo(
            f"facestream: no minute{whose} was counted yet, and one comes 10 s after its end: "
            "is `facestream tracker` running?",
            err=True,
        )
    while follow and not stop.is_set():
        _print(_of(names, tail.read(WAIT_SECONDS)), as_json=as_json, is_first=False)


def _of(names: Sequence[str], minutes: Iterable[AudienceMap]) -> list[AudienceMap]:
    return [minute for minute in minutes if not names or minute["camera"] in names]


def _print(minutes: Sequence[AudienceMap], *, as_json: bool, is_first: bool) -> None:
    from facestream.json_line import json_line
    from facestream_tracker.audience_table import HEAD, row

    if as_json:
        for minute in minutes:
            typer.echo(json_line(minute))
        return
    if is_first:
        typer.echo(HEAD)
    for minute in minutes:
        typer.echo(row(minute))
