"""`facestream annotate`: draw the results of a run onto its video."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from facestream.commands.parameters import FollowStdin
from facestream.errors import UsageError

HELP = """Draw the faces of a results file onto the video they were found in.

Writes an MP4 that browsers play, and a picture of the frame with most faces if asked. The gender
label shown is *apparent*: not who somebody is.

Example:  facestream annotate clip.mp4 --results results.jsonl --out annotated.mp4
"""


def register(app: typer.Typer) -> None:
    app.command("annotate", help=HELP)(annotate)


def annotate(
    source: Annotated[str, typer.Argument(help="The file, folder of pictures or demo: that was analysed.")],
    results: Annotated[Path, typer.Option(help="What `facestream run --out` wrote.", metavar="JSONL")],
    out: Annotated[Path, typer.Option(help="The video to write.", metavar="MP4")],
    still: Annotated[
        Path | None, typer.Option(help="Also write the frame with most faces, as a JPEG.", metavar="JPG")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Whose results, when the file holds those of several cameras.")
    ] = None,
    follow_stdin: FollowStdin = False,
) -> int:
    from facestream.signals import end_with_owner, stop_on_signals
    from facestream_producer.annotate import annotate as draw
    from facestream_producer.opening import expand, open_source

    found = expand([source])
    if len(found) != 1:
        raise UsageError(f"{source} is {len(found)} sources: annotate one at a time")
    with stop_on_signals() as stop, closing(open_source(found[0])) as opened:
        if follow_stdin:
            end_with_owner(stop)
        chosen = choose_results(read_results(results), source=opened.name, camera=camera)
        with _progress(opened.length) as advance:
            done = draw(opened, chosen, out, still, _until(stop, advance))
    print(f"wrote {out}: {done.pictures} frames, {done.with_result} with a result", file=sys.stderr)
    if still is not None:
        print(f"wrote {still}", file=sys.stderr)
    if done.broken:
        print(f"facestream: {done.broken}", file=sys.stderr)
    if not done.with_result:
        raise UsageError(f"no result in {results} belongs to a frame of {source}: is it of another video?")
    return 0


def _until(stop: threading.Event, advance: Callable[[int], None]) -> Callable[[int], None]:
    """The same progress, interrupted when somebody asks to stop: no half video is left then."""

    def advance_or_stop(done: int) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        advance(done)

    return advance_or_stop


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """The results of a JSONL file; raises UsageError naming the line that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _parsed(line, f"line {number} of {path}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"cannot read the results {path} ({reason}): name what facestream run --out wrote"
        ) from None


def choose_results(
    results: Iterator[dict[str, Any]], *, source: str, camera: str | None
) -> list[dict[str, Any]]:
    """One camera's results of its latest epoch in `seq` order: the camera named, or this source's."""
    by_camera: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if camera is None or result["camera"] == camera:
            by_camera.setdefault(result["camera"], []).append(result)
    of_source = {name: found for name, found in by_camera.items() if found[0]["source"] == source}
    candidates = of_source or by_camera
    if not candidates:
        raise UsageError(f"the results hold none of camera {camera}" if camera else "the results are empty")
    if len(candidates) > 1:
        raise UsageError(f"the results hold several cameras: choose one by --camera {'|'.join(candidates)}")
    (chosen,) = candidates.values()
    latest = max(result["epoch"] for result in chosen)
    return sorted(
        (result for result in chosen if result["epoch"] == latest), key=lambda result: result["seq"]
    )


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        result = json.loads(line)
        _check(result)
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{where} is no result: name what facestream run --out wrote") from None
    return dict(result)


def _check(result: dict[str, Any]) -> None:
    """Touch everything that drawing reads, so that a wrong file is one line and not a traceback."""
    if not isinstance(result["camera"], str) or not isinstance(result["source"], str):
        raise TypeError
    counts = [int(result[key]) for key in ("epoch", "seq", "pts_us")]
    sizes = [float(result[key]) for key in ("width", "height")]
    region = [float(side) for side in result["region"]]
    if min(sizes) <= 0 or min(counts) < 0 or len(region) != 4:
        raise ValueError
    for face in result["faces"]:
        if len(face["box"]) != 4 or any(len(point) != 2 for point in face["landmarks"]):
            raise ValueError
        float(face["score"])


@contextmanager
def _progress(length: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's stderr, nothing in a log."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("annotating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("annotating", total=length)
        yield lambda done: progress.update(task, completed=done)
