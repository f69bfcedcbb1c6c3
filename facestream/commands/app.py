"""Assembles the `facestream` command and turns every error into one line and an exit status."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, Exit, TyperException
from typer.models import CommandInfo, TyperInfo

from facestream import __version__
from facestream.errors import FacestreamError
from facestream.log import last_words
from facestream.missing import describe_missing
from facestream.redaction import redact

HELP = """Find faces in pictures, files and camera streams, and say what each appears to be.

The gender label is *apparent*, binary, and as annotators perceived it: not who somebody is. Never
decide anything about a person by it.

Start with one picture:  facestream classify photo.jpg

Then a video:            facestream run clip.mp4 --out results.jsonl --annotate annotated.mp4
"""

# How the help groups the commands; one that is not named here stands in a group of its own.
PANELS = {
    "Analyse on this machine": ("run", "classify", "annotate", "tracks"),
    "Cameras, workers and trackers, with a broker": ("cameras", "probe", "producer", "worker", "tracker"),
    "What was found": ("results", "audience", "sink", "record", "replay"),
    "Look after it": ("ps", "audit", "rejects", "drain", "exporter", "doctor", "models", "bench"),
}

INTERRUPTED = 130


def build_app() -> typer.Typer:
    app = typer.Typer(
        name="facestream",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for entry in sorted(entry_points(group="facestream.commands"), key=lambda entry: entry.name):
        entry.load()(app)
    _group(app)
    return app


def _group(app: typer.Typer) -> None:
    panel_of = {name: panel for panel, names in PANELS.items() for name in names}
    commands: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for command in commands:
        if command.name in panel_of:
            command.rich_help_panel = panel_of[command.name]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"facestream {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop."),
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; a user never sees a traceback unless FACESTREAM_DEBUG is set."""
    sys.exit(run(build_app(), sys.argv[1:]))


def run(app: typer.Typer, arguments: list[str]) -> int:
    try:
        status = app(arguments, prog_name="facestream", standalone_mode=False)
    except Exit as end:
        return end.exit_code
    except FacestreamError as error:
        return _say(str(error), error.exit_code)
    except TyperException as error:
        if not error.format_message():  # the command alone, without arguments: its help was shown
            return error.exit_code
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "facestream"
        return _say(
            f"{redact(error.format_message())} ({command} --help shows what there is)", error.exit_code
        )
    except ModuleNotFoundError as error:
        return _say(describe_missing(error), 2)
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing left to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("FACESTREAM_DEBUG"):
            raise
        what = f"unexpected {type(error).__name__}: {redact(str(error))}"
        return _say(f"{what}; please report it, with the details that FACESTREAM_DEBUG=1 shows", 70)
    return status if isinstance(status, int) else 0


def _say(message: str, exit_code: int) -> int:
    last_words(" ".join(message.split()), sys.argv)
    return exit_code
