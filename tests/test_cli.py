"""The command line as a whole: help that teaches, errors in one line, exit statuses, typed errors."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
import typer
from typer.models import CommandInfo, TyperInfo

import facestream
import facestream_models
import facestream_producer
import facestream_worker
from facestream import errors
from facestream.bus.publisher import Rewind
from facestream.commands.app import PANELS, build_app, run
from facestream.errors import BusUnavailable, FacestreamError, UsageError
from support.processes import facestream as command

PACKAGES = (facestream, facestream_models, facestream_producer, facestream_worker)
BUILT = build_app()
COMMANDS = [command.name for command in BUILT.registered_commands]
COMMANDS += [group.name for group in BUILT.registered_groups]


UNEXPECTED = (
    "facestream: unexpected ValueError: redis://***@host; please report it, with the details that "
    "FACESTREAM_DEBUG=1 shows"
)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    return build_app()


def test_version_is_the_package_s(app: typer.Typer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["--version"]) == 0
    assert capfd.readouterr().out == f"facestream {facestream.__version__}\n"


def test_without_anything_the_help_is_shown(app: typer.Typer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, []) in {0, 2}
    shown = capfd.readouterr()
    assert "classify" in shown.out + shown.err
    assert "apparent" in shown.out + shown.err


def test_every_application_has_added_its_commands() -> None:
    assert {"run", "classify", "producer", "worker", "annotate", "models", "audit", "doctor"} <= set(COMMANDS)


def test_the_help_has_a_group_for_every_command() -> None:
    grouped = [name for names in PANELS.values() for name in names]
    assert sorted(grouped) == sorted(str(name) for name in COMMANDS)
    registered: list[CommandInfo | TyperInfo] = [*BUILT.registered_commands, *BUILT.registered_groups]
    assert {command.name: command.rich_help_panel for command in registered} == {
        name: panel for panel, names in PANELS.items() for name in names
    }


@pytest.mark.parametrize(
    ("arguments", "where"),
    [(["results", "lobby"], "facestream results"), (["sink", "jsonl"], "facestream sink jsonl")],
)
def test_a_wrong_use_names_the_help_of_that_command(
    arguments: list[str], where: str, app: typer.Typer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(app, arguments) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.endswith(f"({where} --help shows what there is)")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_by_an_example(
    name: str, app: typer.Typer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(app, [name, "--help"]) == 0
    shown = capfd.readouterr()
    assert shown.err == ""
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", shown.out).split())
    assert f"facestream {name}" in words.partition("Usage:")[2].partition(" ")[2]
    assert "follow-stdin" not in words


def test_a_tracker_serves_its_metrics_where_it_is_told(
    app: typer.Typer, capfd: pytest.CaptureFixture[str]
) -> None:
    somewhere_else = ["--metrics-port", "0", "--metrics-host", "203.0.113.7"]
    assert run(app, ["tracker", "--redis", "redis://127.0.0.1:1", *somewhere_else]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert "--metrics-host 203.0.113.7" in line


def test_an_unknown_command_is_one_line(app: typer.Typer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["clasify"]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("facestream: No such command 'clasify'")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("say it\ndifferently"), 2, "facestream: say it differently"),
        (BusUnavailable("nobody there"), 75, "facestream: nobody there"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 0, ""),
        (typer.Exit(7), 7, ""),
        (
            ValueError("redis://me:hunter2@host"),
            70,
            UNEXPECTED,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = typer.Typer()

    @failing.command()
    def fail() -> None:
        raise error

    with restored_stdout():
        assert run(failing, []) == status
    assert capfd.readouterr().err.strip() == line


class restored_stdout:  # noqa: N801 (reads as a statement)
    """A broken pipe points standard output elsewhere: back again for the next test."""

    def __enter__(self) -> None:
        import os

        self._kept = os.dup(1)

    def __exit__(self, *_error: object) -> None:
        import os

        os.dup2(self._kept, 1)
        os.close(self._kept)


def test_only_debug_shows_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = typer.Typer()

    @failing.command()
    def fail() -> None:
        raise ValueError("a bug")

    monkeypatch.setenv("FACESTREAM_DEBUG", "1")
    with pytest.raises(ValueError, match="a bug"):
        run(failing, [])


def test_a_bad_setting_is_one_line_even_in_debug() -> None:
    ended = command("run", "demo:", environment={"FACESTREAM_DEPTH": "deep", "FACESTREAM_DEBUG": "1"})
    assert (ended.status, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert line.startswith("facestream: FACESTREAM_DEPTH: input should be a valid integer")


# Errors in code


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith(("__main__", "broker_watch")):
            yield importlib.import_module(found.name)


def test_every_error_we_raise_is_one_of_ours() -> None:
    ours = {
        thing
        for package in PACKAGES
        for module in modules_of(package)
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, Exception)
        and thing.__module__.startswith("facestream")
    }
    strangers = {error for error in ours if not issubclass(error, FacestreamError)}
    public = {error for error in strangers if not error.__name__.startswith("_")}
    assert public == {Rewind}, "a Rewind is a turn of the capture loop, no failure"


def test_the_tree_of_errors_in_the_docstring_is_the_real_one() -> None:
    real = {
        name: thing.__mro__[1].__name__
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, FacestreamError)
    }
    drawn: dict[str, str] = {}
    above: list[str] = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"((?:[│├└─]| )*)([A-Z]\w+)(  |$)", line):
            depth = (len(found[1]) + 3) // 4
            del above[depth + 1 :]
            drawn[found[2]] = above[depth]
            above.append(found[2])
    assert drawn == real
