"""`facestream replay`: a recording's frames are published again, or its results printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facestream.commands.parameters import Redis
from facestream.errors import UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from facestream.recording.reader import Contents, Recording

HELP = """Publish the frames of a recording again, exactly as they were, or print its results.

At full speed it is lossless, as a file is: it waits for the workers, and every frame gets a result. At
--speed original, or 2x, it is live, as the camera was: what the workers cannot take in time is dropped
and counted. The camera's name is the recorded one unless --camera says another.

A recording without pictures has its results printed, one JSON object a line; --results does so for any.
`facestream run FILE` replays a recording on this machine, with nothing else running.

Examples:

facestream replay lobby.fsrec --speed original --camera lobby-again

facestream replay lobby.fsrec --results | jq .faces
"""

_SPEED = re.compile(r"([0-9]+(?:\.[0-9]+)?)x")
SLOWEST, FASTEST = 0.01, 1000.0


def register(app: typer.Typer) -> None:
    app.command("replay", help=HELP)(replay)


def replay(
    file: Annotated[Path, typer.Argument(help="What `facestream record` wrote.")],
    redis: Redis = None,
    speed: Annotated[str, typer.Option(help="full, original, or times that, such as 2x or 0.5x.")] = "full",
    camera: Annotated[
        str | None, typer.Option(help="Publish under this name, where one camera was recorded.")
    ] = None,
    results: Annotated[
        bool, typer.Option("--results", help="Print the recorded results; publish nothing.")
    ] = False,
    rejects: Annotated[
        bool, typer.Option("--rejects", help="Print the recorded rejects; publish nothing.")
    ] = False,
) -> int:
    import sys

    from facestream.recording.reader import Recording
    from facestream.signals import stop_on_signals

    pace, recording = parse_speed(speed), Recording(file)
    contents = recording.contents()
    print(_description(file, contents), file=sys.stderr)
    with stop_on_signals() as stop:
        if results or rejects or not contents.frames:
            _print(_kept(recording, results=results or not rejects, rejects=rejects), pace, stop)
            if contents.broken:
                print(f"facestream: {contents.broken}", file=sys.stderr)
            return 1 if contents.broken else 0
        return _publish(file, redis, camera, pace, contents.frames.total(), stop)


def parse_speed(text: str) -> float | None:
    """How many times as fast as it was recorded; None for as fast as it goes."""
    if text in ("full", "original"):
        return None if text == "full" else 1.0
    match = _SPEED.fullmatch(text)
    if not match or not SLOWEST <= float(match[1]) <= FASTEST:
        raise UsageError(f"--speed {text!r}: full, original, or times that from 0.01x to 1000x, such as 2x")
    return float(match[1])


def _publish(
    file: Path, redis: str | None, camera: str | None, pace: float | None, frames: int, stop: threading.Event
) -> int:
    from contextlib import closing

    from facestream.bus.connection import Connection
    from facestream.commands.options import require_redis
    from facestream.settings import load_settings
    from facestream_producer.attaching import Play
    from facestream_producer.capture import Shape
    from facestream_producer.replay_progress import ReplayProgress
    from facestream_producer.session import Session, name_cameras

    settings = load_settings(redis=redis)
    connection = Connection(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
    # Frames stay as they were recorded: of this, the age alone is looked at.
    shape = Shape(settings.max_side, settings.jpeg_quality, settings.max_age_ms, None)
    play = None if pace is None else Play(None, loop=False, speed=pace)
    with closing(connection), ReplayProgress(frames) as progress:
        session = Session(connection, shape, progress, stop, depth=settings.depth, play=play)
        found, failed = session.expand([str(file)])
        if found:
            failed += session.run(found, name_cameras(found, camera))
    return 1 if failed else 0


def _kept(recording: Recording, *, results: bool, rejects: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    from facestream.errors import SourceBroken
    from facestream.recording.entries import Reject, Result

    try:
        for entry in recording.entries():
            if results and isinstance(entry, Result):
                yield entry.at_us, entry.result
            elif rejects and isinstance(entry, Reject):
                yield entry.at_us, entry.reject
    except SourceBroken:
        return  # said once, when all that is whole is printed


def _print(kept: Iterator[tuple[int, Mapping[str, Any]]], speed: float | None, stop: threading.Event) -> None:
    import time

    from facestream.json_line import json_line
    from facestream_producer.attaching import RECORDED_GAP_SECONDS
    from facestream_producer.pacing import RealTime

    pace = None if speed is None else RealTime(speed, RECORDED_GAP_SECONDS)
    for at_us, found in kept:
        if stop.is_set() or (pace and stop.wait(pace.wait_seconds(at_us, time.monotonic()))):
            return
        typer.echo(json_line(found))


def _description(file: Path, contents: Contents) -> str:
    from datetime import datetime

    from facestream.printable import printable
    from facestream_models.images import shown

    frames = ", ".join(f"{count:,} frames of {camera}" for camera, count in sorted(contents.frames.items()))
    kept = f"{frames or 'no pictures'}, {contents.results:,} results, {contents.rejects:,} rejects"
    began = contents.began
    if began is None:
        return f"{shown(file)}: {kept}"
    when = datetime.fromtimestamp(began.at_us / 1e6).astimezone().isoformat(" ", "seconds")
    missed = contents.ended.missed if contents.ended else 0
    return f"{shown(file)}: recorded {when} with facestream {printable(began.facestream, 20)}: {kept}" + (
        f"; {missed:,} frames passed unrecorded" if missed else ""
    )
