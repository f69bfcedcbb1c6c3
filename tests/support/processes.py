"""Real `facestream` commands: started, watched by what they say, killed, and never left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from support.bus import is_gone, wait_until

RUN_SECONDS = 60.0
FACESTREAM = (sys.executable, "-m", "facestream")


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command that has ended left."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """The lines with which something is wrong, each one thing."""
        return [line for line in self.err.splitlines() if line.startswith("facestream: ")]

    @property
    def summary(self) -> dict[str, Any]:
        """What `facestream run --json` printed last."""
        [summary] = [line for line in (self.out + self.err).splitlines() if line.startswith('{"captured"')]
        return dict(json.loads(summary))


class Command:
    """A started command, in a temporary folder of its own; what it says is in files, so nothing blocks it."""

    def __init__(self, command: Sequence[str], folder: Path, **options: Any) -> None:
        self.temporary = folder / "t"
        self.temporary.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        environment = {"TMPDIR": str(self.temporary), "COLUMNS": "200"} | options.pop("environment", {})
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=options.pop("stdout", out),
                stderr=err,
                env=_clean_environment() | environment,
                start_new_session=True,
                **options,
            )

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def children(self, *words: str) -> list[int]:
        """Process numbers of its descendants whose command line holds all the words."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in found if set(words) <= set(_command_line(child))]

    def wait_for_children(self, count: int, *words: str) -> list[int]:
        wait_until(lambda: len(self.children(*words)) >= count, f"{count} x {words}")
        return self.children(*words)

    def end(self, seconds: float = RUN_SECONDS) -> Ended:
        """Wait for its end."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s:\n{self.err[-2000:]}") from None
        return Ended(status, self.out, self.err)


@contextmanager
def started(
    *arguments: object,
    program: Sequence[str] = FACESTREAM,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Command]:
    """`facestream ARGUMENTS`, running; whatever is left of it at the end is killed."""
    folder = Path(tempfile.mkdtemp(prefix="fs-"))
    command = [*program, *map(str, arguments)]
    running = Command(command, folder, environment=dict(environment or {}), **options)
    family = [running.process.pid]
    try:
        yield running
    finally:
        if running.process.poll() is None:
            family += running.children()
        for number in family[::-1]:
            if not is_gone(number):
                psutil.Process(number).kill()
        running.process.wait()
        wait_until(lambda: all(map(is_gone, family)), "the family is gone")
        shutil.rmtree(folder, ignore_errors=True)


def facestream(*arguments: object, **options: Any) -> Ended:
    """`facestream ARGUMENTS` to its end; the options are those of `started`."""
    with started(*arguments, **options) as running:
        return running.end()


def assert_no_traceback(ended: Ended) -> None:
    for text in (ended.out, ended.err):
        assert "Traceback" not in text, text
        assert "please report" not in text, text


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return [Path(word).name for word in process.cmdline()]
    except psutil.NoSuchProcess:
        return []


def _clean_environment() -> dict[str, str]:
    kept = {"FACESTREAM_WEIGHTS"}
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith("FACESTREAM_")
    }


def metrics_at(port: int) -> dict[str, float]:
    """All samples of a Prometheus endpoint, named as `name{label=value}`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name + _labels(sample.labels): sample.value for sample in samples}


def port_of(running: Command) -> int:
    """The port a process listens on, which it chose itself."""
    found: list[int] = []

    def look() -> bool:
        lines = psutil.Process(running.process.pid).net_connections("tcp")
        found[:] = [line.laddr.port for line in lines if line.status == psutil.CONN_LISTEN]
        return bool(found)

    wait_until(look, "it listens")
    return found[0]


def _labels(labels: Mapping[str, str]) -> str:
    return "".join(f"{{{name}={value}}}" for name, value in sorted(labels.items()))
