"""`facestream doctor`: is everything here that is needed, and fit for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facestream.health.check import Check

HELP = """Check this machine, the models and, when one is named, the broker.

One line a finding: ok, warn (works, but not as it should) or FAIL (does not work), and what to do about
it. Changes nothing, here or at the broker. Exit status 1 when something fails.

Examples:

facestream doctor

facestream doctor --redis redis://broker:6379/0

facestream doctor --json | jq '.checks[] | select(.level != "ok")'
"""


def register(app: typer.Typer) -> None:
    app.command("doctor", help=HELP)(doctor)


def doctor(
    redis: Annotated[
        str | None,
        typer.Option(
            help="Check this broker too, as redis://, rediss:// or unix://; or set FACESTREAM_REDIS.",
            metavar="URL",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON object.")] = False,
) -> int:
    from facestream.health.examination import examine
    from facestream.settings import load_settings

    checks = examine(load_settings(redis=redis))
    failed = any(check.level == "fail" for check in checks)
    if as_json:
        _print_json(checks, healthy=not failed)
    else:
        _print_lines(checks)
    return 1 if failed else 0


def _print_json(checks: list[Check], *, healthy: bool) -> None:
    import dataclasses
    import json

    findings = [dataclasses.asdict(check) for check in checks]
    typer.echo(json.dumps({"ok": healthy, "checks": findings}, indent=2, ensure_ascii=False))


def _print_lines(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.text import Text

    words = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}
    width = max(len(check.name) for check in checks)
    console = Console()
    for check in checks:
        word, style = words[check.level]
        line = Text.assemble((f"{word:<4}", style), f"  {check.name:<{width}}  {check.text}")
        if check.remedy:
            line.append(f"  — {check.remedy}", style="bold")
        console.print(line, soft_wrap=True, highlight=False)
