"""`facestream tracks`: the people of a results file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import AsJson

if TYPE_CHECKING:
    from facestream_tracker.camera import Said

HELP = """Make people of the faces in a file of results, and print one line for each.

A track is a face followed from frame to frame, by place and time alone: who leaves and comes back is
counted again. Gender and age are *apparent*, and smoothed over the track.

Examples:

facestream run clip.mp4 --attributes gender,age --out results.jsonl

facestream tracks results.jsonl

facestream tracks results.jsonl --line "door: 0.5,0 0.5,1" --json
"""

LineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        metavar="POINTS",
        help='Count who crosses it, in fractions of the picture: "door: 0.1,0.5 0.9,0.5"; may be repeated.',
    ),
]


def register(app: typer.Typer) -> None:
    app.command("tracks", help=HELP)(tracks)


def tracks(
    results: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `facestream run --out` wrote; - for standard input.")
    ],
    lines: LineOption = None,
    as_json: AsJson = False,
) -> int:
    from facestream.lines import read_lines
    from facestream_tracker.results_file import track_file

    said = track_file(results, read_lines(lines or []))
    if as_json:
        _print_json(said)
    else:
        _print(said)
    return 0


def _print_json(said: Said) -> None:
    import json

    people = [track for track in said.tracks if track["event"] == "closed"]
    typer.echo(json.dumps({"people": people, "minutes": said.minutes}, ensure_ascii=False))


def _print(said: Said) -> None:
    from rich.console import Console

    from facestream_tracker.people_table import caution, draw, sentence

    console = Console()
    table, words = draw(said.tracks), [sentence(said.tracks), caution(said.tracks)]
    if table.row_count:
        console.print(table)
    for line in filter(None, words):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
