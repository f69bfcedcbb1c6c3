"""The annotated videos of a run: each source is read again and its results drawn on it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from facestream.errors import UsageError
from facestream.runner.runner import Plan
from facestream.runner.summary import Summary

VIDEO_SUFFIX = ".mp4"
STILL_SUFFIX = ".jpg"
POLL_SECONDS = 0.1


def check_annotation(sources: Sequence[str], annotate: Path | None) -> None:
    """Raises UsageError when no video could be written at the end, before any work is done."""
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


@contextmanager
def results_for_annotation(plan: Plan) -> Iterator[Plan]:
    """The plan with a results file in any case: a passing one when the user asked for none."""
    if plan.out is not None and str(plan.out) != "-":
        yield plan
        return
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        yield dataclasses.replace(plan, out=Path(folder) / "results.jsonl")


def annotate_all(summary: Summary, results: Path, annotate: Path, stop: threading.Event) -> list[str]:
    """Write one video for each source that gave results, with a still beside it; the paths written."""
    runs = [run for run in summary.tally.cameras.values() if run.results]
    written = []
    for run in runs:
        out = annotate if len(runs) == 1 else annotate.with_stem(f"{annotate.stem}-{run.camera}")
        still = out.with_suffix(STILL_SUFFIX)
        arguments = [run.given, "--results", str(results), "--camera", run.camera]
        if _annotate([*arguments, "--out", str(out), "--still", str(still)], stop):
            written += [str(out), str(still)]
    return written


def _annotate(arguments: list[str], stop: threading.Event) -> bool:
    """Run `facestream annotate`, which shows its own progress; False when it failed or was stopped."""
    process = subprocess.Popen(
        [sys.executable, "-m", "facestream", "annotate", *arguments, "--follow-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        while process.poll() is None:
            if stop.wait(POLL_SECONDS):
                process.terminate()
                process.wait()
    return process.returncode == 0
