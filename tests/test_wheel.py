"""The wheel, in a clean environment and a folder full of decoys: what users install works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from support.portraits import PORTRAITS, weights
from support.processes import Ended, assert_no_traceback, facestream
from support.results import Studio
from support.weights import _index_reachable as index_reachable

ROOT = Path(__file__).resolve().parent.parent

CLIENT_NEEDS = ("msgpack", "redis")
"""All that a program needs, beside ours, to read results: what the wheel requires without an extra."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with our wheel in it, and a folder of decoys to start from."""

    wheel: Path
    bin: Path
    folder: Path

    def facestream(self, *arguments: object) -> Ended:
        return facestream(*arguments, program=[str(self.bin / "facestream")], cwd=self.folder)


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode and not index_reachable():
        pytest.skip("pip reaches no package index here, from which the build's own tools come")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Only our own wheel is installed anew; what it depends on is borrowed from this environment."""
    weights()
    home = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", home, ROOT)
    [wheel] = home.glob("*.whl")
    venv.create(home / "venv", symlinks=True)
    python = home / "venv" / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    [site] = (home / "venv" / "lib").glob("python*/site-packages")
    # Only .pth files of a site's own folder count: our editable install there is not seen from here.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, python.parent, make_decoys(home / "decoys"))


@pytest.fixture(scope="module")
def client_only(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Our wheel, and of everything else no more than a reader of results needs."""
    home = tmp_path_factory.mktemp("client")
    venv.create(home / "venv", symlinks=True)
    python = home / "venv" / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", installed.wheel)
    [site] = (home / "venv" / "lib").glob("python*/site-packages")
    for name in (*CLIENT_NEEDS, "hiredis"):  # which `redis[hiredis]` brings
        for top in {file.parts[0] for file in distribution(name).files or []}:
            (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return Installed(installed.wheel, python.parent, home)


def make_decoys(folder: Path) -> Path:
    """What may well lie beside a user's videos; none of it may ever be imported."""
    for name in ("worker", "models", "producer", "sinks", "tracker", "console", "tests"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('a decoy was imported')")
    for name in ("redis", "av", "typing", "facestream_worker"):
        (folder / f"{name}.py").write_text("raise SystemExit('a decoy was imported')")
    return folder


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_what_is_needed(installed: Installed) -> None:
    names = set(names_in(installed.wheel))
    scripts = {f"facestream/scripts/{path.name}" for path in (ROOT / "facestream" / "scripts").glob("*.lua")}
    assert len(scripts) >= 8
    packages = ("facestream", "facestream_models", "facestream_producer", "facestream_worker")
    needed = {f"{package}/py.typed" for package in packages} | scripts
    needed |= {"facestream_models/catalogue.toml", "facestream/broker_watch.py"}
    needed |= {f"facestream_models/portraits/{name}" for name in ("astronaut.png", "luispedro.jpg", "NOTICE")}
    assert needed - names == set()
    [info] = {name.split("/")[0] for name in names if ".dist-info/" in name}
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= names


def test_the_wheel_holds_nothing_else(installed: Installed) -> None:
    names = names_in(installed.wheel)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("facestream")} == set()
    assert len(names) == len(set(names))
    kinds = {Path(name).suffix for name in names if ".dist-info/" not in name}
    assert kinds <= {".py", ".lua", ".toml", ".typed", ".png", ".jpg", ""}
    assert not [name for name in names if "test" in Path(name).name or "__pycache__" in name]


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    modules: Sequence[str] = ("facestream", "facestream_models", "facestream_producer", "facestream_worker")
    program = f"import {', '.join(modules)}\nfor module in ({', '.join(modules)}): print(module.__file__)"
    shown = subprocess.run(
        [str(installed.bin / "python"), "-I", "-c", program], capture_output=True, text=True, check=True
    )
    home = installed.bin.parent
    assert [Path(line).is_relative_to(home) for line in shown.stdout.splitlines()] == [True] * len(modules)


def test_it_works_among_decoys(installed: Installed) -> None:
    version = installed.facestream("--version")
    assert (version.status, version.out.split()[0]) == (0, "facestream")

    pictures = installed.facestream("classify", PORTRAITS / "astronaut.png", "--json")
    assert_no_traceback(pictures)
    assert pictures.status == 0, pictures.err
    [face] = json.loads(pictures.out)["faces"]
    assert face["attributes"]["gender"]["label"] == "female"

    ran = installed.facestream(*("run", "demo:seconds=1", "--out", "r.jsonl", "--json", "--workers", 1))
    assert_no_traceback(ran)
    assert ran.status == 0, ran.err
    summary = ran.summary
    assert (summary["results"], summary["faces"], summary["every_frame_has_one_end"]) == (30, 120, True)
    assert len((installed.folder / "r.jsonl").read_text().splitlines()) == 30


def test_the_client_requires_the_driver_and_msgpack(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    required = [Requirement(line.split(": ", 1)[1]) for line in lines if line.startswith("Requires-Dist: ")]
    assert sorted(one.name for one in required if one.marker is None) == sorted(CLIENT_NEEDS)
    markers = {str(one.marker) for one in required if one.marker is not None}
    assert markers
    assert all(marker.endswith('extra == "all"') for marker in markers)


def test_results_are_read_with_nothing_else(
    client_only: Installed, broker: EmbeddedBroker, connection: Connection
) -> None:
    Studio(connection).shoot("lobby")
    program = (
        "import sys; from facestream import ResultReader\n"
        "reader = ResultReader(sys.argv[1], prefix=sys.argv[2], start='earliest', idle_seconds=0.1)\n"
        "print([(result.camera, result.faces[0].gender.label) for result in reader])\n"
        "print([name for name in ('numpy', 'cv2', 'typer', 'pydantic', 'rich') if name in sys.modules])"
    )
    arguments = [broker.url, connection.keys.prefix]
    command = [str(client_only.bin / "python"), "-I", "-W", "error", "-c", program, *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (shown.stdout, shown.stderr) == ("[('lobby', 'female')]\n[]\n", "")


@pytest.mark.parametrize("arguments", [(), ("--version",), ("run", "demo:")], ids=" ".join)
def test_the_command_says_what_it_needs(client_only: Installed, arguments: tuple[str, ...]) -> None:
    told = client_only.facestream(*arguments)
    assert (told.status, told.out) == (2, "")
    [line] = told.err.splitlines()
    assert line.endswith("which is not installed: pip install 'facestream[all]'")
