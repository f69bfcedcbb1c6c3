"""deploy/compose.yaml and deploy/images: of the right form, closed to the outside, with commands that exist.

Nothing is built or started here but a broker with each of the two configurations.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import redis
import typer.main
import yaml
from prometheus_client import CollectorRegistry
from redis.backoff import NoBackoff
from redis.retry import Retry
from typer.core import TyperGroup

from facestream.broker import server_binary
from facestream.commands.app import build_app
from facestream.metrics import serve_metrics
from facestream.vitals import Health
from support.bus import wait_until

DEPLOY = Path(__file__).parent.parent / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILE = DEPLOY / "images/Dockerfile"
OURS = {"producer", "worker", "exporter"}


@cache
def compose() -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


SERVICES = sorted(compose()["services"])


def service(name: str) -> dict[str, Any]:
    return cast(dict[str, Any], compose()["services"][name])


def tool(name: str) -> str:
    """A program beside this Python."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"no {name} for this machine")
    return found


def run(*command: str | Path) -> None:
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_compose_takes_the_file() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    run(tool("hadolint"), DOCKERFILE)


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian: apt install prometheus)")
    for file in ("compose/prometheus.yml", "prometheus/recording.yml", "prometheus/alerts.yml"):
        shutil.copy(DEPLOY / file, tmp_path)
    run(promtool, "check", "config", tmp_path / "prometheus.yml")


def test_nothing_is_published_but_grafana_on_loopback() -> None:
    published = {name: service(name)["ports"] for name in SERVICES if "ports" in service(name)}
    assert published == {"grafana": ["127.0.0.1:3000:3000"]}
    outside = {name for name in SERVICES if "outside" in service(name)["networks"]}
    assert outside == {"producer", "alertmanager", "grafana"}
    assert compose()["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_comes_back(name: str) -> None:
    said = service(name)
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert said["restart"] == "unless-stopped"
    assert said["logging"]["options"]["max-size"]
    assert name in OURS or re.search(r":v?\d+\.\d+", said["image"]), "an image without its release"


def test_every_file_that_is_mounted_is_there() -> None:
    for name in SERVICES:
        for volume in service(name).get("volumes", []):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                assert (DEPLOY / source).is_file(), source
                assert volume.endswith(":ro")
            else:
                assert source in compose()["volumes"]
            assert target.startswith("/")


def test_every_secret_that_is_read_is_given_and_no_other() -> None:
    given = {name: f"secrets/{name}" for name in compose()["secrets"]}
    assert {name: said["file"] for name, said in compose()["secrets"].items()} == given
    used = set()
    for name in SERVICES:
        named = {
            each if isinstance(each, str) else each["source"] for each in service(name).get("secrets", [])
        }
        read = set(re.findall(r"/run/secrets/([a-z-]+)", str(service(name))))
        assert read <= named
        used |= named
    assert used == given.keys()


def test_the_commands_exist() -> None:
    group = typer.main.get_command(build_app())
    assert isinstance(group, TyperGroup)
    for words in [*in_compose(), *in_the_dockerfile()]:
        command = group.commands[words[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[1:] if word.startswith("--")} <= known


def in_compose() -> list[list[str]]:
    [scripts] = [[service(name)["command"][0] for name in sorted(OURS)]]
    return [shlex.split(script.split("exec facestream ")[1]) for script in scripts]


def in_the_dockerfile() -> list[list[str]]:
    text = DOCKERFILE.read_text(encoding="utf-8")
    found = [yaml.safe_load(words) for words in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)]
    assert len(found) == 2
    return found


@pytest.mark.parametrize("where", ["Dockerfile", "exporter"])
def test_the_health_check_can_fail(where: str) -> None:
    """It is asked of a real port, of a process in good health and of one that is stuck."""
    if where == "Dockerfile":
        [words] = re.findall(r"^  CMD (\[.*\])$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
        program, *arguments = yaml.safe_load(words)
    else:
        kind, program, *arguments = service("exporter")["healthcheck"]["test"]
        assert kind == "CMD"
    assert program == "python"
    health = Health(pulse_seconds=-1.0)
    port = serve_metrics(CollectorRegistry(), 0, health=health)
    command = [
        sys.executable,
        *(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", each) for each in arguments),
    ]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    health.beat("a loop")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize(("name", "appends"), [("frames", "no"), ("state", "yes")])
def test_a_broker_starts_with_its_configuration(name: str, appends: str, tmp_path: Path) -> None:
    """Frames reach no disk, the registry does; whoever has no name is sent away."""
    program, file, *options = service(name)["command"]
    assert program == "valkey-server"
    users = tmp_path / "users.acl"
    users.write_text("user default off\nuser someone on >secret ~* +@all\n", encoding="utf-8")
    configuration = (DEPLOY / "redis" / Path(file).name).read_text(encoding="utf-8")
    written = tmp_path / "broker.conf"
    written.write_text(configuration.replace("/etc/redis/users.acl", str(users)), encoding="utf-8")
    # The same words, but on no network: what is given last counts.
    here = [tmp_path.as_posix() if word == "/data" else word for word in options]
    path = tmp_path / "s"
    closed = ["--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)]
    process = subprocess.Popen([server_binary(), written, *here, *closed], stdout=subprocess.DEVNULL)
    try:
        wait_until(path.exists, "it listens")
        nobody = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
        with nobody, pytest.raises(redis.exceptions.AuthenticationError):
            nobody.ping()
        with redis.Redis(unix_socket_path=str(path), username="someone", password="secret") as client:
            said = client.config_get("append*", "maxmemory-policy", "save", "bind", "slowlog-log-slower-than")
        assert (said["appendonly"], said["maxmemory-policy"], said["save"]) == (appends, "noeviction", "")
        assert said["bind"] == "* -::*"
        assert said["slowlog-log-slower-than"] == "-1"
    finally:
        process.terminate()
        process.wait()
