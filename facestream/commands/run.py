"""`facestream run`: everything on one machine, from sources to results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import Engine

if TYPE_CHECKING:
    from facestream.runner.runner import Plan
    from facestream.runner.summary import Summary
    from facestream.settings import Settings

HELP = """Analyse files, folders of images or a device on this machine: nothing else needs to run.

Starts an embedded broker, a producer and one worker per core, and ends with a summary that says where
every frame ended. A file is lossless: every frame that decodes has a result. Labels are *apparent*.

Examples:

facestream run clip.mp4 --out results.jsonl --annotate annotated.mp4

facestream run 'clips/*.mp4' photos/ --attributes gender,age --out results.jsonl

facestream run demo:
"""

FAILED = 1
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command("run", help=HELP)(run)


def run(
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, quoted globs, a device such as /dev/video0, or demo:")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write results here, one JSON object a line in frame order; - for stdout."),
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="Write the video with faces and labels drawn, and a still beside it.")
    ] = None,
    attributes: Annotated[
        str, typer.Option(help="What to say of each face: none, gender or gender,age.")
    ] = "gender",
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; one per core unless given.", min=1)
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Use this broker, or FACESTREAM_REDIS, instead of the embedded one.", metavar="URL"
        ),
    ] = None,
    max_side: Annotated[
        int | None, typer.Option(help="Longer side of the analysed frame, in pixels.")
    ] = None,
    engine: Engine = "auto",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics: worker i of N on this port + i, then producer and restarts.",
            min=0,
            max=65535,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> int:
    from facestream.commands.options import parse_attributes
    from facestream.cores import usable_cores
    from facestream.runner.annotation import check_places
    from facestream.runner.output import READER_LEFT
    from facestream.runner.runner import Plan, RunFailed
    from facestream.settings import load_settings

    settings = load_settings(redis=redis, max_side=max_side)
    parse_attributes(attributes)
    check_places(sources, out, annotate)
    plan = Plan(sources, workers or len(usable_cores()), attributes, engine, out, metrics_port)
    try:
        summary, complete = _carry_out(plan, settings, annotate)
    except RunFailed as error:
        if str(error):
            raise
        return FAILED
    if summary.tally.cameras or as_json:
        _show(summary, as_json, to_stderr=str(out) == "-")
    if summary.results_error == READER_LEFT:
        return 0  # as any command whose output goes to head or less
    if summary.interrupted:
        return INTERRUPTED
    failed = summary.tally.failures or summary.is_unfinished or not summary.every_frame_has_one_end
    return FAILED if failed or not complete else 0


def _carry_out(plan: Plan, settings: Settings, annotate: Path | None) -> tuple[Summary, bool]:
    """The summary, and whether everything wanted was written."""
    import contextlib

    from facestream.broker import EmbeddedBroker
    from facestream.runner.annotation import annotate_all
    from facestream.runner.output import open_results, passing_results
    from facestream.runner.progress import Progress
    from facestream.runner.runner import Runner
    from facestream.signals import stop_on_signals

    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        progress = Progress()
        outputs = [open_results(plan.out, progress.say)] if plan.out else []
        if annotate and not any(output.read_again for output in outputs):
            outputs.append(passing_results(progress.say))
        for output in outputs:
            stack.callback(output.close)
        url = settings.redis_url or stack.enter_context(EmbeddedBroker(settings.broker_bytes)).url
        with progress:
            summary = Runner(plan, settings, url, outputs, progress, stop).run()
        summary.results_path = str(plan.out) if plan.out else None
        summary.results_error = outputs[0].failed if plan.out else None
        complete = not any(output.failed for output in outputs)
        if annotate and not outputs[-1].failed and not stop.is_set():
            complete &= annotate_all(summary, outputs[-1], annotate, stop)
        summary.interrupted = stop.is_set()
        return summary, complete


def _show(summary: Summary, as_json: bool, *, to_stderr: bool) -> None:
    import json

    from rich.console import Console

    if as_json:
        typer.echo(json.dumps(summary.to_json()), err=to_stderr)
        return
    Console(stderr=to_stderr).print(summary.to_table())
