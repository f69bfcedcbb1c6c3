"""The documents say what the code does: settings, commands, reasons, dependencies, links, quoted errors."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import typer.main
from packaging.requirements import Requirement
from typer.core import TyperCommand, TyperGroup

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.commands.app import build_app
from facestream.contract import DropReason, SourceDrop
from facestream.settings import PREFIX, Settings
from support.results import Studio

ROOT = Path(__file__).parent.parent
PORTRAIT = ROOT / "models/facestream_models/portraits/astronaut.png"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PACKAGES = ("facestream", "models", "producer", "sinks", "tracker", "worker")
SHORTEST_QUOTE = 8


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(name: str, heading: str) -> Iterator[list[str]]:
    """The cells of the first table under a heading, its head left out."""
    section = text_of(name).split(f"\n{heading}\n", 1)[1]
    table = re.search(r"^\|.*?(?=\n\n|\Z)", section, re.MULTILINE | re.DOTALL)
    assert table, f"no table under {heading} in {name}"
    for line in table[0].splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def named(cell: str) -> str:
    """What stands between the backticks that begin a cell."""
    match = re.match(r"`([^`]+)`", cell)
    assert match, f"the cell {cell!r} names nothing"
    return match[1]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)


@cache
def commands() -> dict[str, TyperCommand | TyperGroup]:
    group = typer.main.get_command(build_app())
    assert isinstance(group, TyperGroup)
    return cast("dict[str, TyperCommand | TyperGroup]", group.commands)


def test_every_setting_is_in_operations_with_its_default() -> None:
    documented = {named(row[0]): row[1].strip("`") for row in rows("docs/operations.md", "## Settings")}
    defaults = {PREFIX + name.upper(): field.default for name, field in Settings.model_fields.items()}
    expected = {name: "none" if default is None else str(default) for name, default in defaults.items()}
    assert documented == expected


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_setting_is_named_that_does_not_exist(document: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    found = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", document.read_text(encoding="utf-8")))
    assert found <= known


def test_every_command_is_in_the_readme() -> None:
    documented = [named(row[0]) for row in rows("README.md", "## Commands")]
    assert sorted(documented) == sorted(f"facestream {name}" for name in commands())


def test_every_drop_reason_is_in_operations_where_it_happens() -> None:
    documented = {(named(row[0]), row[1]) for row in rows("docs/operations.md", "## Where frames end")}
    expected = {(reason.value, "source") for reason in SourceDrop}
    assert documented == expected | {(reason.value, "broker") for reason in DropReason}


@pytest.mark.parametrize(
    ("heading", "group"), [("## What facestream needs", "dependencies"), ("## For development", "dev")]
)
def test_every_dependency_is_explained(heading: str, group: str) -> None:
    pyproject = tomllib.loads(text_of("pyproject.toml"))
    project = pyproject["project"]
    wanted = (
        project["dependencies"] + project["optional-dependencies"]["all"]
        if group == "dependencies"
        else pyproject["dependency-groups"][group]
    )
    documented = [named(row[0]) for row in rows("docs/dependencies.md", heading)]
    assert sorted(documented) == sorted(Requirement(line).name for line in wanted)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in links(document):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def links(document: Path) -> Iterator[str]:
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(document: Path) -> set[str]:
    """The names GitHub gives to a document's headings."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def printed_commands() -> list[str]:
    """Every line of a code block that begins with `facestream`."""
    found = []
    for document in DOCUMENTS:
        for block in blocks(str(document.relative_to(ROOT)), ""):
            found += re.findall(r"^(?:\S+/)?facestream (.+)$", block, re.MULTILINE)
    return found


@pytest.mark.parametrize("line", sorted(set(printed_commands())))
def test_every_printed_command_line_exists(line: str) -> None:
    words = re.split(r"\s[#|>&]", line)[0].split()
    command = commands()[words.pop(0)]
    if isinstance(command, TyperGroup):
        command = cast(TyperCommand, command.commands[words.pop(0)])
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def quoted_fragments() -> list[str]:
    """The literal parts of the error lines that the troubleshooting table quotes."""
    lines = [named(row[0]) for row in rows("docs/operations.md", "## Troubleshooting")]
    parts = [part.strip(" :;()'") for line in lines for part in re.split(r"<[^>]*>|…", line)]
    return sorted({part for part in parts if len(part) >= SHORTEST_QUOTE})


@cache
def literals() -> str:
    """Every string of the code; one that is written in pieces is whole here."""
    nodes = (
        node
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    return "\n".join(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize("fragment", quoted_fragments())
def test_every_quoted_error_is_one_the_code_can_say(fragment: str) -> None:
    assert fragment in literals()


def test_the_readme_counts_labels_of_a_results_file(tmp_path: Path) -> None:
    [reading] = [block for block in blocks("README.md", "python") if "json.loads" in block]
    results = tmp_path / "demo-out/results.jsonl"
    results.parent.mkdir()
    classify = [sys.executable, "-m", "facestream", "classify", str(PORTRAIT), "--json"]
    results.write_bytes(subprocess.run(classify, capture_output=True, check=True).stdout)
    assert run_snippet(reading, tmp_path) == "Counter({'female': 1})\n"


def test_the_readme_analyses_a_photo_in_three_lines(tmp_path: Path) -> None:
    [analysing] = [block for block in blocks("README.md", "python") if "Analyser()" in block]
    shutil.copy(PORTRAIT, tmp_path / "photo.jpg")
    assert "('female',)" in run_snippet(analysing, tmp_path)


READING = [
    (document, block)
    for document in ("README.md", "docs/results.md")
    for block in blocks(document, "python")
    if "ResultReader" in block
]


@pytest.mark.parametrize(("document", "block"), READING, ids=range(len(READING)))
def test_what_the_documents_read_results_with(document: str, block: str, tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        connection = Connection(broker.url)
        for group in ("signage", "store"):
            connection.read("XGROUP CREATE", connection.keys.results(0), group, "0", "MKSTREAM")
        Studio(connection).shoot("lobby")
        snippet = block.replace("redis://localhost:6379/0", broker.url)
        assert broker.url in snippet
        command = [sys.executable, "-I", "-u", "-W", "error", "-c", snippet]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as reader:
            assert reader.stdout is not None
            first = reader.stdout.readline()
            reader.kill()
        connection.close()
    assert "lobby" in first or first == "stored 1\n"


def test_results_are_read_with_all_snippets() -> None:
    assert len(READING) == 5


def run_snippet(code: str, folder: Path) -> str:
    command = [sys.executable, "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
