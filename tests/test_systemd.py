"""The units of deploy/systemd: accepted by systemd, hardened alike, and starting commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import cast

import pytest
import typer.main
from typer.core import TyperGroup

from facestream.commands.app import build_app
from facestream.settings import PREFIX, Settings
from facestream_producer.fleet import LEAVE_SECONDS

FOLDER = Path(__file__).parent.parent / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
PROGRAM = "/opt/facestream/bin/facestream"
HARDENED = {
    "User": "facestream",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter": "@system-service",
    "LimitCORE": "0",
    "Restart": "always",
    "RestartPreventExitStatus": "2",
}
# Since systemd 254; those before ignore them, and say so.
NEW = {"RestartSteps", "RestartMaxDelaySec"}

for_each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)


def service(unit: Path) -> dict[str, str]:
    """What its [Service] says; of what is said twice, the last."""
    return dict(parsed(unit)["Service"])


def parsed(unit: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def words(unit: Path) -> list[str]:
    program, *words = service(unit)["ExecStart"].split()
    assert program == PROGRAM
    return words


def options_of(command: str) -> set[str]:
    group = cast("TyperGroup", typer.main.get_command(build_app()))
    found = group.commands[command]
    each = found.commands.values() if isinstance(found, TyperGroup) else [found]
    return set.intersection(*({o for p in one.params for o in (*p.opts, *p.secondary_opts)} for one in each))


def test_there_is_one_for_each_kind_of_service() -> None:
    assert [unit.name for unit in UNITS] == [
        "facestream-exporter.service",
        "facestream-producer.service",
        "facestream-sink@.service",
        "facestream-tracker.service",
        "facestream-worker@.service",
    ]


@for_each_unit
def test_it_starts_a_command_that_exists(unit: Path) -> None:
    command, *rest = words(unit)
    assert unit.name.startswith(f"facestream-{command}")
    assert {word for word in rest if word.startswith("--")} <= options_of(command)


@for_each_unit
def test_it_is_hardened_and_comes_back(unit: Path) -> None:
    said = service(unit)
    assert {name: said.get(name) for name in HARDENED} == HARDENED
    assert said["MemoryMax"]
    assert parsed(unit)["Unit"]["StartLimitIntervalSec"] == "0", "it never gives up"
    assert parsed(unit)["Install"]["WantedBy"] == "multi-user.target"


@for_each_unit
def test_it_names_no_broker_but_a_file_that_root_alone_reads(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    assert "EnvironmentFile=/etc/facestream/facestream.env" in text.splitlines()
    assert "redis" not in text.lower()
    assert "install -m 0600 /dev/null /etc/facestream/facestream.env" in readme()


def test_stopping_takes_no_longer_than_systemd_waits() -> None:
    producer, worker = (service(FOLDER / f"facestream-{name}.service") for name in ("producer", "worker@"))
    arguments = words(FOLDER / "facestream-worker@.service")
    grace = float(arguments[arguments.index("--grace") + 1])
    assert float(worker["TimeoutStopSec"]) > grace + 5
    sink = service(FOLDER / "facestream-sink@.service")
    assert float(sink["TimeoutStopSec"]) > Settings().grace_seconds + 2 * 2 * 10.0, "to connect, and to hear"
    assert float(producer["TimeoutStopSec"]) > LEAVE_SECONDS + 5


def test_no_two_services_listen_on_one_port() -> None:
    ports = []
    for unit in UNITS:
        arguments = words(unit)
        option = "--port" if "--port" in arguments else "--metrics-port"
        ports.append(arguments[arguments.index(option) + 1].replace("%i", "01"))
    assert len({*ports}) == len(UNITS)
    assert all(1024 < int(port) < 65_536 for port in ports)


def readme() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def test_what_the_readme_names_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", readme())) <= known
    assert set(re.findall(r"^\| `(facestream-\S+)`", readme(), re.MULTILINE)) == {u.name for u in UNITS}
    for example in re.findall(r"^SINK=(.+)$", readme(), re.MULTILINE):
        kind, *rest = example.split()
        sinks = cast("TyperGroup", cast("TyperGroup", typer.main.get_command(build_app())).commands["sink"])
        options = {option for parameter in sinks.commands[kind].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options
    [example] = re.findall(rf"{PROGRAM} (producer /dev.*)$", readme(), re.MULTILINE)
    assert {word for word in example.split() if word.startswith("--")} <= options_of("producer")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@for_each_unit
def test_systemd_accepts_it(unit: Path, tmp_path: Path) -> None:
    """With a program that is there in the place of ours, which is not installed where tests run."""
    copy, program = tmp_path / unit.name, shutil.which("true")
    assert program
    copy.write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, program), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    troubles = [line for line in done.stderr.splitlines() if unit.name in line]
    assert {
        re.sub(r".*Unknown key '(\w+)'.*|.*Unknown key name '(\w+)'.*", r"\1\2", t) for t in troubles
    } <= NEW
