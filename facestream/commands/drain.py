"""`facestream drain`: wait until every published frame has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from facestream.commands.parameters import Redis

HELP = """Wait until nothing is in flight: every frame that was published has its result or its drop.

Stop the producers first, or this waits for what they go on sending. Exit status 1 when time runs out,
with what is left.

Example:  facestream drain --timeout 60
"""

POLL_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    app.command("drain", help=HELP)(drain)


def drain(
    redis: Redis = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60.0,
) -> int:
    import time

    from rich.console import Console

    from facestream.bus.ledger import read_ledgers, total
    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis
    from facestream.settings import load_settings
    from facestream.signals import stop_on_signals

    settings = load_settings(redis=redis)
    console = Console(stderr=True)
    deadline = time.monotonic() + timeout
    with stop_on_signals() as stop, console.status("waiting") as status:
        connection = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
        while True:
            ledgers = read_ledgers(connection)
            left = total(ledgers)
            if left.in_flight == 0:
                typer.echo(f"drained: {left.results:,} results, nothing in flight")
                return 0
            status.update(f"{left.in_flight:,} frames in flight, {left.in_hand_of_workers:,} of them in hand")
            if time.monotonic() >= deadline or stop.wait(POLL_SECONDS):
                break
        connection.close()
    busiest = max(ledgers, key=lambda ledger: ledger.in_flight)
    typer.echo(
        f"not drained: {left.in_flight:,} frames are still in flight, most of camera {busiest.camera}; "
        "is a worker running (facestream ps), are producers still sending?",
        err=True,
    )
    return 1
