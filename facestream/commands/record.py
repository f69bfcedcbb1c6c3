"""`facestream record`: what passes of a camera, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import AsJson, Redis
from facestream.errors import UsageError

if TYPE_CHECKING:
    import threading

    from facestream.recording.recorder import Recorded
    from facestream.settings import Settings

HELP = """Record what passes of cameras that are being published, in one file: such as for a bug report.

It keeps every published frame as it is, with its result or reject; `facestream replay` sends them again,
and `facestream run` analyses them here. Because that keeps pictures of people, you have to say that you
may: --i-may-record-faces. With --results-only no picture is kept, and results alone are.

It ends after --seconds or at --max-mb. The file is readable by you alone, and never written over another.
The producer says in its log that it is recorded.

Examples:

facestream record lobby -o lobby.fsrec --seconds 30 --i-may-record-faces

facestream record --results-only -o results.fsrec --seconds 600
"""

CONSENT = (
    "recording keeps pictures of people: where you may do that (they agreed, or your law allows it), say so "
    "with --i-may-record-faces; or keep none, with --results-only"
)


def register(app: typer.Typer) -> None:
    app.command("record", help=HELP)(record)


def record(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file; such names end in .fsrec.")],
    cameras: Annotated[
        list[str] | None, typer.Argument(metavar="[CAMERA]…", help="Which; with --results-only, all if none.")
    ] = None,
    redis: Redis = None,
    seconds: Annotated[float, typer.Option(help="How long, at most.", min=0.1, max=86_400)] = 30.0,
    max_mb: Annotated[int, typer.Option(help="How large, in MB, at most.", min=1, max=1_000_000)] = 256,
    may_record: Annotated[
        bool, typer.Option("--i-may-record-faces", help="You may keep pictures of the people filmed.")
    ] = False,
    results_only: Annotated[
        bool, typer.Option("--results-only", help="Record results and rejects, and no pictures.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    from facestream.names import check_camera_name
    from facestream.recording.entries import MAX_CAMERAS
    from facestream.settings import load_settings
    from facestream.signals import stop_on_signals

    if not (may_record or results_only):
        raise UsageError(CONSENT)
    names = list(dict.fromkeys(map(check_camera_name, cameras or [])))
    if not names and not results_only:
        raise UsageError("which cameras? facestream record lobby -o lobby.fsrec; --results-only takes all")
    if len(names) > MAX_CAMERAS:
        raise UsageError(f"{len(names)} cameras: at most {MAX_CAMERAS} in a file, the rest in another")
    settings = load_settings(redis=redis)
    with stop_on_signals() as stop:
        recorded, size = _record(settings, names, out, seconds, max_mb, not results_only, stop)
    if recorded.is_empty:
        raise UsageError(_nothing(names, pictures=not results_only))
    _show(recorded, out, size, as_json)
    return 0


def _record(
    settings: Settings,
    cameras: list[str],
    out: Path,
    seconds: float,
    max_mb: int,
    pictures: bool,
    stop: threading.Event,
) -> tuple[Recorded, int]:
    from contextlib import closing

    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis
    from facestream.commands.record_progress import RecordProgress
    from facestream.recording.recorder import Recorder
    from facestream.recording.writer import RecordingWriter

    connection = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
    with closing(connection), RecordProgress(seconds, cameras if pictures else []) as progress:
        recorder = Recorder(connection, cameras, progress.say, pictures=pictures)
        writer = RecordingWriter(out, max_mb * 1_000_000)
        try:
            recorder.run(writer, seconds, stop, progress.show)
        finally:
            writer.close(keep=not recorder.recorded.is_empty)
    return recorder.recorded, writer.bytes


def _nothing(cameras: list[str], *, pictures: bool) -> str:
    what = "frame" if pictures else "result"
    of = f" of {', '.join(cameras)}" if cameras else ""
    return (
        f"no {what}{of} came, so no file is kept: are the names right and is a producer at work "
        "(facestream cameras list, facestream ps)?"
    )


def _show(recorded: Recorded, out: Path, size_bytes: int, as_json: bool) -> None:
    import json

    frames, missed = recorded.frames.total(), recorded.missed.total()
    if as_json:
        fields = {
            "file": str(out),
            "bytes": size_bytes,
            "seconds": round(recorded.seconds, 1),
            "frames": dict(recorded.frames),
            "missed": {camera: count for camera, count in recorded.missed.items() if count},
            "results": recorded.results,
            "rejects": recorded.rejects,
            "ended_by": recorded.why,
        }
        typer.echo(json.dumps(fields))
        return
    ended = {"time": "", "size": ", ended by its size", "asked": ", ended by you"}[recorded.why]
    typer.echo(f"recorded  {out}  ({size_bytes / 1e6:.1f} MB in {recorded.seconds:.1f} s{ended})")
    for camera, count in sorted(recorded.frames.items()):
        gap = f", and {recorded.missed[camera]:,} that passed unrecorded" if recorded.missed[camera] else ""
        typer.echo(f"frames    {count:,} of {camera}{gap}")
    typer.echo(f"results   {recorded.results:,}, rejects {recorded.rejects:,}")
    if missed:
        typer.echo("          some passed unrecorded: the broker was full or away, or this machine too slow")
    if frames:
        typer.echo("It holds pictures of people: give it to nobody who may not see them, and delete it soon.")
