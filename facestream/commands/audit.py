"""`facestream audit`: where every frame ended, and whether the books close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import Redis
from facestream.errors import UsageError
from facestream.printable import printable

if TYPE_CHECKING:
    from facestream.audit import Audit
    from facestream.bus.overview import Observer

HELP = """Show where every frame ended, and check that none is missing.

Two identities are checked for each camera, at one moment, also while it runs: captured = published +
dropped at source + in the producer's hands; published = results + dropped + in flight, where in flight is
measured in the broker. Exit status 1 when one does not close, and a line that says which, by how much,
and what it may mean.

Examples:

facestream audit --redis redis://broker:6379/0

facestream audit front-door --json | jq .differences

facestream audit front-door --settle "entries deleted by hand on Monday"
"""


def register(app: typer.Typer) -> None:
    app.command("audit", help=HELP)(audit_command)


def audit_command(
    cameras: Annotated[
        list[str] | None, typer.Argument(metavar="CAMERA", help="Cameras by name; all unless given.")
    ] = None,
    redis: Redis = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with the epochs before this one.")
    ] = False,
    settle: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Book the differences as explained, with the reason, so that they close."
        ),
    ] = None,
) -> int:
    from facestream.audit import audit
    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis
    from facestream.settings import load_settings

    settings = load_settings(redis=redis)
    observer = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
    try:
        found = audit(observer, cameras or ())
        if settle is not None:
            _settle(observer, found, settle)
            found = audit(observer, cameras or ())
    finally:
        observer.close()
    if as_json:
        _print_json(observer, found)
    else:
        _print(observer, found)
    return 0 if found.closes else 1


def _settle(observer: Observer, found: Audit, reason: str) -> None:
    from facestream.bus.ledger import settle

    if not reason.strip():
        raise UsageError("--settle needs the reason: what was found out about the missing frames")
    for ledger in found.ledgers:
        if not ledger.closes:
            at_source, after = settle(observer, ledger.camera, reason.strip()[:200])
            booked = f"{at_source} at the source, {after} after publication"
            typer.echo(f"{ledger.camera}: booked {booked}: {reason.strip()[:200]}", err=True)


def _print_json(observer: Observer, found: Audit) -> None:
    import json

    from facestream.audit import to_json

    broker = {
        "address": observer.address,
        "incarnation": observer.incarnation or None,
        "partitions": observer.keys.partitions,
    }
    typer.echo(json.dumps({"broker": broker, **to_json(found)}, indent=2, ensure_ascii=False))


def _print(observer: Observer, found: Audit) -> None:
    from rich.console import Console

    from facestream.commands.audit_table import drawn, plain

    console = Console()
    if found.ledgers or found.unreadable:
        console.print(
            drawn(found) if console.is_terminal else plain(found),
            markup=False,
            highlight=False,
            soft_wrap=not console.is_terminal,
        )
    for line in [*_remarks(found), _verdict(observer, found)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _remarks(found: Audit) -> list[str]:
    lines = [difference.text for difference in found.differences]
    lines += [
        f"{camera}: its ledger or its frames are not what facestream wrote: changed from outside"
        for camera in found.unreadable
    ]
    if found.skipped:
        first = ascii(found.skipped[0])[:80]
        lines.append(f"passed over {len(found.skipped)} listed that cannot be a camera, such as {first}")
    return lines


def _verdict(observer: Observer, found: Audit) -> str:
    where = f"broker {observer.address}"
    if observer.founded:
        where += f", incarnation {printable(observer.incarnation, 64)}"
    if not found.ledgers and not found.unreadable:
        return f"no camera has published here yet ({where})"
    if not found.closes:
        return f"NOT EVERY FRAME HAS ITS ONE END ({where})"
    whole = found.whole
    still = f", {whole.in_flight:,} of them in flight" if whole.in_flight else ""
    return f"every frame has one end: {whole.published:,} published{still} ({where})"
