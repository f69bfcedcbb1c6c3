"""`facestream classify` as a process: on a terminal, interrupted, and before a reader that leaves."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

PORTRAITS = Path(str(files("facestream_models"))) / "portraits"
ASTRONAUT, LUIS = PORTRAITS / "astronaut.png", PORTRAITS / "luispedro.jpg"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "facestream", "classify", *map(str, arguments)]


def on_a_terminal(*arguments: object) -> str:
    """What the command shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments), stdout=theirs, stderr=theirs, env=os.environ | {"COLUMNS": "80", "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other side has closed
                break
            if not block:
                break
            shown += block
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def test_a_terminal_gets_a_table_within_its_width() -> None:
    plain = _without_colours(on_a_terminal(ASTRONAUT, "--attributes", "gender,age"))
    lines = plain.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= max(80, len(str(ASTRONAUT)) + 30)
    assert "512 x 512, 1 face" in plain
    assert "apparent gender" in plain
    assert "female 0.9" in plain
    assert "Never decide" in " ".join(plain.split())


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_many_pictures_on_a_terminal_are_all_shown_once() -> None:
    plain = _without_colours(on_a_terminal(ASTRONAUT, LUIS, ASTRONAUT, LUIS))
    assert plain.count("512 x 512, 1 face") == 2
    assert plain.count("1 face") == 4


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    data = ASTRONAUT.read_bytes()
    for number in range(300):
        (tmp_path / f"{number}.png").write_bytes(data)
    with subprocess.Popen(
        command(tmp_path, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 0
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert errors == ""
    assert rest.count("\n") < 299
    assert all(json.loads(line) for line in rest.splitlines())


def test_a_reader_that_has_seen_enough_ends_it_in_silence(tmp_path: Path) -> None:
    for number in range(40):
        shutil.copy(LUIS, tmp_path / f"{number}.jpg")
    with subprocess.Popen(
        command(tmp_path, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 1)


def test_a_name_the_output_cannot_encode_is_no_trouble(tmp_path: Path) -> None:
    shutil.copy(LUIS, tmp_path / "[red]漢 é.jpg")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    for option in ([], ["--json"]):
        done = subprocess.run(
            command(tmp_path, *option), capture_output=True, text=True, env=environment, check=True
        )
        assert "male" in done.stdout
        if option:
            assert json.loads(done.stdout)["source"] == "[red]漢 é.jpg"
        else:
            assert "[red]? ?.jpg" in done.stdout
