"""`facestream run`: everything on one machine, from sources to results."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    engine: Annotated[str, typer.Option(help="Inference engine: onnxruntime or opencv.")] = "onnxruntime",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics: worker i of N on this port + i, then producer and restarts."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> int:
    from facestream.commands.options import parse_attributes
    from facestream.runner.annotation import check_annotation
    from facestream.runner.runner import Plan
    from facestream.settings import load_settings

    settings = load_settings(redis=redis, max_side=max_side)
    parse_attributes(attributes)
    check_annotation(sources, annotate)
    plan = Plan(sources, workers or _cores(), attributes, engine, out, metrics_port)
    summary, failed = _carry_out(plan, settings, annotate)
    _show(summary, as_json, to_stderr=str(out) == "-")
    if summary.interrupted:
        return INTERRUPTED
    return 1 if failed or summary.failures or not summary.every_frame_has_one_end else 0


def _carry_out(plan: Plan, settings: Settings, annotate: Path | None) -> tuple[Summary, bool]:
    """The summary, and whether an output could not be written."""
    import contextlib

    from facestream.broker import EmbeddedBroker
    from facestream.runner.annotation import annotate_all, results_for_annotation
    from facestream.runner.progress import Progress
    from facestream.runner.runner import Runner
    from facestream.signals import stop_on_signals

    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        url = settings.redis_url or stack.enter_context(EmbeddedBroker(settings.broker_bytes)).url
        kept = stack.enter_context(results_for_annotation(plan)) if annotate else plan
        with Progress() as progress:
            runner = Runner(kept, settings, url, progress, stop)
            summary = runner.run()
        if annotate and kept.out and not runner.output_failed and not stop.is_set():
            summary.annotated = annotate_all(summary, kept.out, annotate, stop)
        summary.results_path = str(plan.out) if plan.out else None
        missing = annotate is not None and not summary.annotated
        return summary, runner.output_failed or missing


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _show(summary: Summary, as_json: bool, *, to_stderr: bool) -> None:
    import json

    from rich.console import Console

    if as_json:
        typer.echo(json.dumps(summary.to_json()), err=to_stderr)
        return
    Console(stderr=to_stderr).print(summary.to_table())
