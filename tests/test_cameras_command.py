"""`facestream cameras` on a real broker: what each command does, what it says, what it never shows."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.registry import Registry
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.commands.app import build_app, run

MARK = "ZQX"
PASSWORD = f"p@{MARK}/#?: é%"
URL = f"rtsp://admin:{PASSWORD}@10.0.0.7/live"
SHOWN = "rtsp://***@10.0.0.7/live"

Facestream = Callable[..., tuple[int, str, str]]


@pytest.fixture
def facestream(
    broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Facestream:
    """Run a command against this test's keys; its status, output and messages, all without the mark."""
    monkeypatch.setenv("FACESTREAM_REDIS", broker.url)
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)

    def command(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        status = run(build_app(), ["cameras", *arguments])
        said = capsys.readouterr()
        assert MARK not in said.out + said.err
        assert "Traceback" not in said.err
        return status, said.out, said.err

    return command


@pytest.fixture
def registry(broker: EmbeddedBroker, prefix: str) -> Iterator[Registry]:
    with Registry(broker.url, prefix=prefix) as registry:
        yield registry


def listed(facestream: Facestream) -> dict[str, Any]:
    status, out, err = facestream("list", "--json")
    assert (status, err) == (0, "")
    return {camera["name"]: camera for camera in json.loads(out)}


# Adding


def test_a_camera_is_added_from_standard_input(facestream: Facestream, registry: Registry) -> None:
    status, out, err = facestream(
        *("add", "lobby", "--url-file", "-", "--fps", "5", "--max-side", "960", "--max-age", "500ms"),
        *("--zone", "0,0 1,0 1,1", "--exclude", "0,0 .1,0 0,.1", "--exclude", ".5,.5 .6,.5 .5,.6"),
        *("--attributes", "gender,age", "--transport", "udp", "--motion-gate", "--paused"),
        typed=URL + "\n",
    )
    assert (status, out, err) == (0, "", f"added lobby: {SHOWN}\n")
    settings = registry.get("lobby").settings
    assert (settings.fps, settings.max_side, settings.max_age_ms) == (5, 960, 500)
    assert (settings.attributes, settings.transport) == (("gender", "age"), "udp")
    assert (settings.motion_gate, settings.paused, len(settings.exclude)) == (True, True, 2)
    assert registry.reveal("lobby") == CameraUrl.parse(URL)


def test_the_address_comes_from_a_file_the_environment_or_the_line(
    facestream: Facestream, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(f"\n{URL}\r\n", encoding="utf-8")
    monkeypatch.setenv("LOBBY_URL", URL)
    assert facestream("add", "a", "--url-file", str(tmp_path / "url"))[2] == f"added a: {SHOWN}\n"
    assert facestream("add", "b", "--url-env", "LOBBY_URL")[2] == f"added b: {SHOWN}\n"
    _, _, said = facestream("add", "c", URL)
    assert said.count("process lists") == 1
    assert facestream("add", "d", "rtsp://10.0.0.7/live")[2] == "added d: rtsp://10.0.0.7/live\n"
    assert [registry.reveal(name) for name in "abc"] == [CameraUrl.parse(URL)] * 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "lobby"], "which address?"),
        (["add", "lobby", URL, "--url-env", "X"], "give the address once"),
        (["add", "lobby", "--url-env", "NOT_THERE"], "is not set"),
        (["add", "lobby", "--url-env", URL], "is not set"),
        (["add", "lobby", "--url-file", URL], "cannot be read"),
        (["add", "lobby", "--url-file", "."], "cannot be read"),
        (["add", "lobby", "--url-file", "-"], "gave 0 lines"),
        (["add", "Lobby", URL], "is not a camera name"),
        (["add", URL, "lobby"], "is not a camera name"),
        (["add", "lobby", URL, "--fps", "500"], "fps must be a number from 0.1 to 120, not 500"),
        (["add", "lobby", URL, "--fps", URL], "fps must be"),
        (["add", "lobby", URL, "--max-age", "500"], "such as 500ms"),
        (["add", "lobby", URL, "--zone", "0,0 640,480 1,1"], "outside of the picture"),
        (["add", "lobby", URL, URL], "quotes"),
        (["add", "lobby", "rtsp://admin:my", f"{MARK}@10.0.0.7"], "quotes"),
        (["add", "lobby", URL, "--fsp", "5"], "No such option: --fsp"),
        (["add", "lobby", f"--{MARK}=x"], "no such option"),
        (["add", "lobby", f"rtsps//u:{MARK}@h/"], "no camera's address"),
        (["add", "lobby", f"http://u:{MARK}@localhost/"], "FACESTREAM_ALLOW_LOOPBACK_CAMERAS=1"),
        (["add", "lobby", "file:/etc/passwd"], "FACESTREAM_SOURCE_FOLDERS"),
        (["set", "lobby", "fps=5"], "no camera is called lobby"),
        (["set", "lobby"], "nothing to set"),
        (["set", "lobby", URL], "write settings as key=value"),
        (["set", "lobby", f"url={URL}"], "--url-file or --url-env"),
        (["set", "lobby", f"rtsp://u:{MARK}@h/?a=b"], "known are fps"),
        (["set", "lobby", "fbs=5"], "did you mean fps?"),
        (["show", "attic"], "no camera is called attic"),
        (["show", URL], "is not a camera name"),
        (["pause", "attic"], "no camera is called attic"),
        (["resume", URL], "is not a camera name"),
        (["remove", "attic"], "no camera is called attic"),
        (["remove", URL], "is not a camera name"),
        (["apply", "not-there.yaml"], "cannot be read"),
        (["apply", URL], "no address"),
        ([URL], "No such command"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(facestream: Facestream, arguments: list[str], says: str) -> None:
    status, out, err = facestream(*arguments)
    assert status == 2
    assert out == ""
    assert says in err
    assert err.startswith("facestream: ")
    assert err.removesuffix("\n").count("\n") == err.count("shell's history")


def test_what_the_operator_allows_is_taken(
    facestream: Facestream, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_ALLOW_LOOPBACK_CAMERAS", "1")
    monkeypatch.setenv("FACESTREAM_SOURCE_FOLDERS", f"/nowhere:{tmp_path}")
    assert facestream("add", "local", "--url-file", "-", typed=f"http://u:{MARK}@localhost/")[0] == 0
    assert facestream("add", "clip", f"file:{tmp_path}/clip.mp4", "--motion-gate")[0] == 0
    assert registry.get("clip").settings == CameraSettings(motion_gate=True)


# Looking


def test_cameras_are_listed_with_their_state(facestream: Facestream, registry: Registry) -> None:
    assert facestream("list")[1] == "[]\n"
    registry.add("lobby", CameraUrl.parse(URL), CameraSettings(fps=5))
    registry.add("hall", CameraUrl.parse("rtsp://10.0.0.8/"))
    assert {name: camera["state"] for name, camera in listed(facestream).items()} == {
        "hall": None,
        "lobby": None,
    }

    since_us = 1_700_000_000_000_000
    registry.report_state("lobby", CameraState("unauthorized", since_us, f"401 at {URL}", "p1"))
    registry.report_state("hall", CameraState("live", since_us, None, "p2"))
    registry.beat("p1")
    lobby, hall = listed(facestream)["lobby"], listed(facestream)["hall"]
    assert (lobby["address"], lobby["has_credentials"], lobby["settings"]["fps"]) == (SHOWN, True, 5)
    assert (lobby["state"], lobby["since_us"], lobby["holder"], lobby["attended"]) == (
        *("unauthorized", since_us, "p1"),
        True,
    )
    assert lobby["error"].startswith("401 at rtsp://***@10.0.0.7")
    assert (hall["state"], hall["attended"]) == ("live", False)
    assert json.loads(facestream("show", "lobby")[1]) == lobby


def test_strange_entries_are_said(
    facestream: Facestream, registry: Registry, prefix: str, connection: Any
) -> None:
    registry.add("lobby", CameraUrl.parse(URL))
    connection.read("HSET", f"{prefix}:cameras", "odd", f"x {MARK}")
    status, out, err = facestream("list", "--json")
    assert (status, [camera["name"] for camera in json.loads(out)]) == (0, ["lobby"])
    assert err == "facestream: passed over 1 cameras that facestream did not write\n"


# Changing


def test_settings_are_set_by_pairs_and_by_options(facestream: Facestream, registry: Registry) -> None:
    registry.add("lobby", CameraUrl.parse(URL), CameraSettings(fps=5, quality=70))
    changes = ["fps=2.5", "max-side=640", "quality=", "--max-age", "2s", "--motion-gate"]
    assert facestream("set", "lobby", *changes)[0] == 0
    settings = CameraSettings(fps=2.5, max_side=640, max_age_ms=2000, motion_gate=True)
    assert registry.get("lobby").settings == settings
    assert (
        facestream("set", "lobby", "--no-motion-gate", "--attributes", "none", "include=0,0 1,0 1,1")[0] == 0
    )
    assert registry.get("lobby").settings.attributes == ()
    assert facestream("set", "lobby", "include=", "attributes=")[0] == 0
    assert registry.get("lobby").settings == CameraSettings(fps=2.5, max_side=640, max_age_ms=2000)
    assert registry.reveal("lobby") == CameraUrl.parse(URL)

    other = f"rtsp://admin:new{MARK}@10.0.0.9/"
    assert (
        facestream("set", "lobby", "--url-file", "-", typed=other)[2] == "set lobby: rtsp://***@10.0.0.9/\n"
    )
    assert registry.reveal("lobby").reveal() == other


def test_a_camera_is_paused_resumed_and_removed(facestream: Facestream, registry: Registry) -> None:
    registry.add("lobby", CameraUrl.parse(URL))
    assert facestream("pause", "lobby") == (0, "", "paused lobby\n")
    assert registry.get("lobby").settings.paused
    assert facestream("resume", "lobby") == (0, "", "resumed lobby\n")
    assert not registry.get("lobby").settings.paused
    assert facestream("remove", "lobby", "--yes") == (0, "", "removed lobby\n")
    assert registry.list() == []


def test_the_state_broker_has_the_registry(
    facestream: Facestream, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedBroker() as state:
        monkeypatch.setenv("FACESTREAM_STATE_REDIS", state.url)
        assert facestream("add", "lobby", "rtsp://10.0.0.7/")[0] == 0
        with Registry(state.url, prefix=prefix) as registry:
            assert [camera.name for camera in registry.list()] == ["lobby"]
        assert facestream("list", "--redis", state.url)[1] == facestream("list")[1]
    monkeypatch.delenv("FACESTREAM_STATE_REDIS")
    assert facestream("list")[1] == "[]\n"
    monkeypatch.delenv("FACESTREAM_REDIS")
    assert "which broker keeps the cameras?" in facestream("list")[2]


@pytest.mark.parametrize(
    "command", [["list"], ["show", "x"], ["pause", "x"], ["remove", "x"], ["add", "x", URL]]
)
def test_a_broker_that_is_not_there_is_named_without_password(
    facestream: Facestream, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("facestream.bus.connection.RETRY_SECONDS", 0.0)
    status, _, err = facestream(*command, "--redis", f"unix://:{MARK}@/nowhere/at/all.sock")
    assert status == 75
    assert "no broker answers at unix://***@/nowhere/at/all.sock" in err


# Applying a file

FILE = f"""
cameras:
  lobby:
    url: rtsp://admin:${{LOBBY_PASSWORD}}@10.0.0.7/live
    fps: 5
    max_age: 500ms
    exclude: ["0,0 .1,0 0,.1", [[0.5, 0.5], [0.6, 0.5], [0.5, 0.6]]]
  hall:
    url: http://10.0.0.8/video?user=bob&password={MARK}
    attributes: [gender]
  gate: {{url: "${{GATE_URL}}", paused: true}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOBBY_PASSWORD", PASSWORD)
    monkeypatch.setenv("GATE_URL", f"rtsp://u:{MARK}%40@10.0.0.9/")
    path = tmp_path / "cameras.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_the_registry_becomes_what_the_file_says(
    facestream: Facestream, registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("attic", CameraUrl.parse(URL))
    registry.add("hall", CameraUrl.parse(f"http://10.0.0.8/video?user=bob&password=old{MARK}"))
    registry.add("gate", CameraUrl.parse(f"rtsp://u:{MARK}%40@10.0.0.5/"), CameraSettings(fps=3, paused=True))
    before, revision = registry.list(), registry.revision()
    difference = (
        f"+ lobby  {SHOWN}  fps 5, max_age 500ms, exclude 0,0 0.1,0 0,0.1; 0.5,0.5 0.6,0.5 0.5,0.6\n"
        "~ gate\n    address: rtsp://***@10.0.0.5/ → rtsp://***@10.0.0.9/\n"
        "    fps: 3 → as the producer is set\n"
        "~ hall\n    user or password: changed\n    attributes: as the producer is set → gender\n"
        f"- attic  {SHOWN}\n"
    )
    assert facestream("apply", str(file), "--dry-run") == (0, difference, "")
    status, out, err = facestream("apply", str(file))
    assert (status, out) == (2, difference)
    assert "add --yes" in err
    assert (registry.list(), registry.revision()) == (before, revision)

    assert facestream("apply", str(file), "--yes") == (0, difference, "1 added, 2 changed, 1 removed\n")
    assert [camera.name for camera in registry.list()] == ["gate", "hall", "lobby"]
    assert registry.reveal("lobby") == CameraUrl.parse(URL)
    assert registry.reveal("hall").reveal() == f"http://10.0.0.8/video?user=bob&password={MARK}"
    assert registry.reveal("gate").reveal() == f"rtsp://u:{MARK}%40@10.0.0.9/"

    revision = registry.revision()
    assert facestream("apply", str(file))[:2] == (0, "")
    assert json.loads(facestream("apply", str(file), "--json")[1]) == {
        "added": [],
        "changed": {},
        "removed": [],
    }
    assert registry.revision() == revision
    monkeypatch.setenv("LOBBY_PASSWORD", MARK)
    assert facestream("apply", str(file), "--yes")[1] == "~ lobby\n    user or password: changed\n"
    assert registry.get("lobby").settings.fps == 5


def test_toml_says_the_same(facestream: Facestream, registry: Registry, file: Path, tmp_path: Path) -> None:
    toml = tmp_path / "cameras.toml"
    toml.write_text(
        '[cameras.lobby]\nurl = "rtsp://admin:${LOBBY_PASSWORD}@10.0.0.7/live"\nfps = 5\nmax_age = "500ms"\n'
        'exclude = ["0,0 .1,0 0,.1", [[0.5, 0.5], [0.6, 0.5], [0.5, 0.6]]]\n'
        f'[cameras.hall]\nurl = "http://10.0.0.8/video?user=bob&password={MARK}"\nattributes = ["gender"]\n'
        '[cameras.gate]\nurl = "${GATE_URL}"\npaused = true\n'
    )
    assert facestream("apply", str(toml), "--yes")[0] == 0
    assert facestream("apply", str(file))[:2] == (0, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no cameras"),
        ("- a\n- b", "holds no cameras"),
        (f"cameras: {MARK}", "holds no cameras"),
        ("camera:\n  a: {url: /dev/video0}", "holds no cameras"),
        ("cameras: {}\ncamreas: {}", "'camreas' is no part of a file of cameras: did you mean cameras?"),
        ("cameras:\n  lobby:\n", "lobby: it needs a url"),
        (f"cameras:\n  lobby: {MARK}", "lobby: it needs a url"),
        ("cameras:\n  lobby: {url: 5}", "lobby: it needs a url"),
        (
            "cameras:\n  lobby: {url: /dev/video0, fbs: 5}",
            "'fbs' is no setting of a camera: did you mean fps?",
        ),
        ("cameras:\n  lobby: {url: /dev/video0, urll: 5}", "did you mean url?"),
        ("cameras:\n  lobby: {url: /dev/video0, fps: fast}", "lobby: fps must be"),
        ("cameras:\n  lobby: {url: /dev/video0, 5: 5}", "known are url, fps"),
        ("cameras:\n  1: {url: /dev/video0}", "put it in quotes"),
        ("cameras:\n  Lobby: {url: /dev/video0}", "is not a camera name"),
        (f'cameras:\n  lobby: {{url: "rstp://u:{MARK}@h/"}}', "did you mean rtsp://?"),
        ("cameras:\n  lobby: {url: 'rtsp://u:${NOT_THERE}@h/'}", "the variable NOT_THERE"),
        (
            "cameras:\n  lobby: {url: /dev/video0}\n  lobby: {url: /dev/video0}",
            "a key is there twice (line 3)",
        ),
        ("cameras:\n  lobby: {url: /dev/video0, fps: 5, fps: 6}", "a key is there twice"),
        (f"cameras:\n  lobby:\n    url: rtsp://u:{MARK}: {MARK}@h", "is no YAML"),
        (f"cameras:\n  lobby:\n    url: *{MARK}", "is no YAML"),
        (f"cameras:\n  lobby:\n    url: !{MARK} x", "is no YAML"),
        ("cameras:\n  lobby:\n    url: !!python/object/apply:os.system [exit]", "is no YAML"),
        (f"cameras:\n  lobby: [{MARK}", "is no YAML (line 2)".replace(" (line 2)", "")),
        ("cameras: {? [a]: b}", "is no YAML"),
        ("cameras: 2001-99-99", "is no YAML"),
        ("[" * 5000, "nested too deeply"),
        ("cameras: \x00", "is no YAML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    facestream: Facestream, registry: Registry, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    registry.add("lobby", CameraUrl.parse(URL))
    status, out, err = facestream("apply", str(path), "--yes")
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert [camera.name for camera in registry.list()] == ["lobby"]


@pytest.mark.parametrize("content", [f"x = {MARK}", f'[cameras]\nx = "{MARK}', f"{MARK}", "a = 1\na = 2"])
def test_a_wrong_toml_file_is_refused_in_one_line(
    facestream: Facestream, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(content)
    status, _, err = facestream("apply", str(path), "--yes")
    assert (status, err.count("\n")) == (2, 1)
    assert "is no TOML" in err


def test_files_that_are_none_are_refused(facestream: Facestream, tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large.yaml").write_bytes(b"#" * (5 << 20))
    assert "no text in UTF-8" in facestream("apply", str(tmp_path / "binary.yaml"))[2]
    assert "larger than 4 MiB" in facestream("apply", str(tmp_path / "large.yaml"))[2]
    assert "cannot be read" in facestream("apply", str(tmp_path))[2]


# On a terminal

ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def on_a_terminal(
    prefix: str, url: str, *arguments: str, asked: str = "", answer: str = ""
) -> tuple[int, str]:
    """The command as a person has it: its status, and all that the screen showed."""
    command = [sys.executable, "-m", "facestream", "cameras", *arguments]
    environment = {
        "PATH": "/usr/bin:/bin",
        "FACESTREAM_REDIS": url,
        "FACESTREAM_PREFIX": prefix,
        "COLUMNS": "120",
    }
    environment["TERM"] = "dumb"
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        screen = b""
        while asked and asked.encode() not in screen:
            piece = os.read(process.stdout.fileno(), 4096)
            assert piece, screen
            screen += piece
        screen += process.communicate(answer.encode())[0]
    text = screen.decode().replace("\r", "")
    assert MARK not in text
    return process.returncode, text


def test_a_person_is_asked_for_the_address_without_showing_it(
    broker: EmbeddedBroker, prefix: str, registry: Registry
) -> None:
    asked = {"asked": "(not shown):", "answer": URL + "\n"}
    status, screen = on_a_terminal(prefix, broker.url, "add", "lobby", **asked)
    assert (status, f"added lobby: {SHOWN}" in screen) == (0, True)
    assert on_a_terminal(prefix, broker.url, "add", "hall", "--url-file", "-", **asked)[0] == 0
    assert registry.reveal("lobby") == registry.reveal("hall") == CameraUrl.parse(URL)


def test_a_person_is_asked_before_anything_goes(
    broker: EmbeddedBroker, prefix: str, registry: Registry, tmp_path: Path
) -> None:
    registry.add("lobby", CameraUrl.parse(URL))
    (tmp_path / "none.yaml").write_text("cameras:\n")
    file = str(tmp_path / "none.yaml")
    assert on_a_terminal(prefix, broker.url, "remove", "lobby", asked="[y/N]", answer="n\n")[0] == 130
    assert on_a_terminal(prefix, broker.url, "apply", file, asked="[y/N]", answer="n\n")[0] == 130
    assert len(registry.list()) == 1
    assert on_a_terminal(prefix, broker.url, "remove", "lobby", asked="[y/N]", answer="y\n")[0] == 0
    assert registry.list() == []


def test_a_person_sees_tables(broker: EmbeddedBroker, prefix: str, registry: Registry) -> None:
    assert "no camera yet" in on_a_terminal(prefix, broker.url, "list")[1]
    registry.add("lobby", CameraUrl.parse(URL), CameraSettings(fps=5))
    registry.add("six", CameraUrl.parse("rtsp://[2001::7]/[bold]x"), CameraSettings(paused=True))
    registry.report_state("lobby", CameraState("live", 1_700_000_000_000_000, None, "p1"))
    registry.beat("p1")
    _, screen = on_a_terminal(prefix, broker.url, "list")
    rows = {line.split()[0]: line.split() for line in screen.splitlines() if line}
    assert rows["lobby"][1:4] == [SHOWN, "live", "2023-11-14"]
    assert rows["six"][1:] == ["rtsp://[2001::7]/[bold]x", "paused"]
    _, screen = on_a_terminal(prefix, broker.url, "show", "lobby")
    rows = {line.split()[0]: line.split() for line in screen.splitlines() if line}
    assert rows["fps"] == ["fps", "5"]
    assert rows["transport"] == ["transport", "tcp", "(default)"]
    assert rows["producer"] == ["producer", "p1"]
