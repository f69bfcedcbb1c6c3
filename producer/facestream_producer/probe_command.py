"""`facestream probe`: what a camera sends, before it is attached."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facestream.commands.cameras_options import Url, UrlEnv, UrlFile

if TYPE_CHECKING:
    from facestream.address_policy import AddressPolicy
    from facestream.camera_url import CameraUrl
    from facestream_producer.probe import Probe

HELP = """Look at a camera for some seconds, and say what it sends and how to attach it.

What is printed holds no password and may be pasted anywhere. When the camera cannot be seen, one line says
why, and the exit status is 1.

Examples:

facestream probe --url-file - --seconds 10

facestream probe --url-env LOBBY_URL --json | jq .suggested
"""


def register(app: typer.Typer) -> None:
    """Add `facestream probe`."""
    app.command("probe", help=HELP)(probe_command)


def probe_command(
    url: Url = None,
    url_file: UrlFile = None,
    url_env: UrlEnv = None,
    seconds: Annotated[float, typer.Option(help="How long to look.", min=0.5, max=600)] = 5.0,
    transport: Annotated[Literal["tcp", "udp"], typer.Option(help="How RTSP sends the pictures.")] = "tcp",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    from facestream.address_policy import AddressPolicy
    from facestream.commands.cameras_options import read_url
    from facestream.errors import UsageError
    from facestream.settings import load_settings
    from facestream_producer.probe import probe

    # Whoever types this is on this machine already: its own services are no secret from him.
    anything = AddressPolicy(folders=(Path("/"),), allow_loopback=True)
    address = read_url(url, url_file, url_env, anything, ask=True)
    assert address is not None
    if not address.is_network:
        raise UsageError("probe looks at cameras on a network: give it rtsp://, http:// or their like")
    policy = _policy_for(address, load_settings().camera_ca)
    found = probe(address, policy=policy, seconds=seconds, transport=transport)
    if as_json or not sys.stdout.isatty():
        typer.echo(json.dumps(found.to_map()))
    else:
        _print(found)


def _policy_for(address: CameraUrl, camera_ca: Path | None) -> AddressPolicy:
    """A camera elsewhere may not lead us to this machine by what its playlist names."""
    from facestream.address_policy import AddressPolicy
    from facestream.errors import UsageError

    policy = AddressPolicy(camera_ca=camera_ca)
    try:
        policy.check_resolved(address.host or "")
    except UsageError:
        return AddressPolicy(allow_loopback=True, camera_ca=camera_ca)
    return policy


def _print(found: Probe) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=found.address, title_justify="left", show_header=False, box=None)
    for name, value in _rows(found):
        table.add_row(name, value)
    Console().print(table)
    settings = " ".join(f"--{key.replace('_', '-')} {value:g}" for key, value in found.suggested.items())
    typer.echo(f"\nfacestream cameras add NAME --url-file - {settings}")


def _rows(found: Probe) -> list[tuple[str, str]]:
    jitter = f"{_said(found.jitter_ms, 'ms')}, at most {_said(found.jitter_max_ms, 'ms')}"
    codec = f"{found.codec} {found.profile or ''}".strip() + (", with B-frames" if found.b_frames else "")
    return [
        ("transport", f"{found.transport} ({found.format})"),
        ("codec", codec),
        ("size", f"{found.width} x {found.height}, {found.pixel_format}"),
        ("frames a second", _said(found.fps)),
        ("whole picture every", _said(found.keyframe_seconds, "s")),
        ("jitter", jitter),
        ("bit rate", _said(found.bitrate_kbit, "kbit/s")),
        ("clock", "the camera's own" if found.clock == "sender" else "of arrival: the camera tells none"),
        ("first picture after", _said(found.first_picture_seconds, "s")),
        ("looked at", f"{found.packets} pictures in {found.seconds:g} s, {found.corrupt} damaged"),
    ]


def _said(value: float | None, unit: str = "") -> str:
    return "not seen yet" if value is None else f"{value:g} {unit}".strip()
