"""The annotated videos of a run: each source is read again and its results drawn on it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from facestream.errors import UsageError
from facestream.runner.output import JsonLines
from facestream.runner.summary import Summary
from facestream.runner.tally import CameraRun
from facestream.supervisor import FACESTREAM

VIDEO_SUFFIX = ".mp4"
STILL_SUFFIX = ".jpg"
POLL_SECONDS = 0.1


def check_places(sources: Sequence[str], out: Path | None, annotate: Path | None) -> None:
    """Raises UsageError when what is wanted at the end could not be written, before any work is done."""
    for option, path in (("--out", out), ("--annotate", annotate)):
        for source in sources:
            if path is not None and _is_same(path, source):
                raise UsageError(f"{option} {path} would overwrite the source {source}: choose another name")
    if annotate is None:
        return
    if annotate.suffix.lower() != VIDEO_SUFFIX:
        raise UsageError(
            f"--annotate {annotate}: the video is written as MP4, so end the name in {VIDEO_SUFFIX}"
        )
    for source in sources:
        if source.isdigit() or source.startswith("/dev/"):
            raise UsageError(
                f"--annotate reads the source again, which {source} cannot: no pictures are kept of a device"
            )
    _check_folder(annotate)


def _is_same(path: Path, source: str) -> bool:
    try:
        return path.is_file() and path.samefile(source)
    except (OSError, ValueError):
        return False


def _check_folder(annotate: Path) -> None:
    try:
        annotate.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=annotate.parent):
            pass
        reason = "it is a folder" if annotate.is_dir() else None
    except OSError as error:
        reason = error.strerror
    if reason:
        raise UsageError(f"--annotate {annotate} cannot be written ({reason}): choose another place")


def annotate_all(summary: Summary, results: JsonLines, annotate: Path, stop: threading.Event) -> bool:
    """Write a video for each source that gave results, with a still beside it; whether all could be.

    `summary.annotated` gets the paths written.
    """
    runs = [run for run in summary.tally.cameras.values() if run.results]
    complete = bool(runs)
    for run in runs:
        out = annotate if len(runs) == 1 else annotate.with_stem(f"{annotate.stem}-{run.camera}")
        still = out.with_suffix(STILL_SUFFIX)
        if not stop.is_set() and _annotate(run, results, out, still, stop):
            summary.annotated += [str(out), str(still)]
        else:
            complete = False
    return complete


def _annotate(run: CameraRun, results: JsonLines, out: Path, still: Path, stop: threading.Event) -> bool:
    """Run `facestream annotate`, which shows its own progress; False when it failed or was stopped."""
    os.lseek(results.descriptor, 0, os.SEEK_SET)  # where /dev/fd shares its position with ours
    arguments = ["--results", str(results.read_again), "--camera", run.camera, "--out", str(out)]
    arguments += ["--still", str(still), "--follow-stdin", "--", run.given]
    process = subprocess.Popen(
        [*FACESTREAM, "annotate", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[results.descriptor],
        start_new_session=True,
    )
    with process:
        while process.poll() is None:
            if stop.wait(POLL_SECONDS):
                process.terminate()
                process.wait()
    return process.returncode == 0
