"""`facestream bench`: measure on your own machine what decides how much hardware you need."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

HELP = """Measure on this machine, with your own clip where one is asked for, what it can carry.

Every bench prints a table, or JSON with --json. Figures of different machines do not compare; ratios
of one run do.

Example:  facestream bench broker --json
"""


def register(app: typer.Typer) -> None:
    """Each bench of the entry points `facestream.benches` adds its own command to the group."""
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    group.callback()(_benches)
    for entry in sorted(entry_points(group="facestream.benches"), key=lambda entry: entry.name):
        entry.load()(group)
    app.add_typer(group, name="bench")


def _benches() -> None:
    """A group is one even while it has few commands."""
