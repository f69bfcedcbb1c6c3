"""`facestream cameras`: which cameras producers shall attach, and how each is doing."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from facestream.commands import cameras_apply
from facestream.commands.cameras_options import (
    StateRedis,
    Url,
    UrlEnv,
    UrlFile,
    given_pairs,
    given_settings,
    open_registry,
    read_url,
    takes_settings,
)
from facestream.commands.parameters import AsJson
from facestream.errors import UsageError
from facestream.redaction import redact

if TYPE_CHECKING:
    from facestream.bus.registry import Registry

HELP = """Add, list and change the cameras that producers attach, while everything runs.

Passwords are kept apart and never shown. docs/cameras.md has the settings, zones and states.

Examples:

facestream cameras add lobby --url-file - --fps 5 --max-side 960 --max-age 500ms

facestream cameras list

facestream cameras set lobby fps=2
"""

_PLAIN_OPTION = re.compile(r"No such option: --[a-z][a-z-]{0,30}")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The camera's name.")]


class _Discreet(TyperGroup):
    """Says what is wrong with a command line without repeating an address, or a piece of one."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TyperException as error:
            said = error.message
            if "extra argument" in said:
                said = "there are more words than this command takes: put an address into quotes"
            elif said.startswith("No such option") and not _PLAIN_OPTION.fullmatch(said):
                said = "there is no such option"
            error.message = redact(said)
            raise


def register(app: typer.Typer) -> None:
    cameras = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown", cls=_Discreet)
    cameras.command("add")(add)
    cameras.command("list")(list_cameras)
    cameras.command("show")(show)
    cameras.command("set")(set_camera)
    cameras.command("pause")(pause)
    cameras.command("resume")(resume)
    cameras.command("remove")(remove)
    cameras.command("apply", help=cameras_apply.HELP)(cameras_apply.apply)
    app.add_typer(cameras, name="cameras")


@takes_settings
def add(
    name: Name,
    url: Url = None,
    url_file: UrlFile = None,
    url_env: UrlEnv = None,
    redis: StateRedis = None,
    **given: Any,
) -> None:
    """Add a camera; a producer attaches it within moments.

    The address is rtsp://, rtsps://, rtmp://, rtmps://, http://, https://, file:/path, /dev/video0 or demo:.
    A password may be typed as it is, or percent-encoded. Without an address you are asked for it.

    Example:  facestream cameras add lobby --url-env LOBBY_URL --fps 5
    """
    from facestream.cameras import CameraSettings
    from facestream.names import check_camera_name

    check_camera_name(name)
    settings = CameraSettings.from_map(given_settings(given))
    registry, policy = open_registry(redis)
    with registry:
        address = read_url(url, url_file, url_env, policy, ask=True)
        assert address is not None
        camera = registry.add(name, address, settings)
    typer.echo(f"added {camera.name}: {camera.address}", err=True)


@takes_settings
def set_camera(
    name: Name,
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings; an empty value is the default."),
    ] = None,
    url_file: UrlFile = None,
    url_env: UrlEnv = None,
    redis: StateRedis = None,
    **given: Any,
) -> None:
    """Change a camera's settings or its address, as key=value or as the options of `add`.

    Example:  facestream cameras set lobby fps=2 max_age=  # the latter back to the default
    """
    settings = given_pairs(pairs or []) | given_settings(given)
    registry, policy = open_registry(redis)
    with registry:
        address = read_url(None, url_file, url_env, policy, ask=False)
        if not settings and address is None:
            raise UsageError(
                "nothing to set: write key=value, such as fps=5, or give an address with --url-file"
            )
        camera = registry.change(name, url=address, settings=settings)
    typer.echo(f"set {camera.name}: {camera.address}", err=True)


def list_cameras(as_json: AsJson = False, redis: StateRedis = None) -> None:
    """Show every camera with its state, since when, and the last error; a pipe gets JSON.

    Example:  facestream cameras list --json | jq -r '.[] | select(.state != "live").name'
    """
    import json

    from facestream.commands.cameras_table import described, list_table

    registry, _ = open_registry(redis)
    with registry:
        present = registry.list()
        _warn_of_strangers(registry, "cameras")
        states, alive = registry.states(), registry.alive()
        _warn_of_strangers(registry, "states")
    cameras = [described(camera, states.get(camera.name), alive) for camera in present]
    if as_json or not sys.stdout.isatty():
        typer.echo(json.dumps(cameras, ensure_ascii=False, indent=2))
    elif cameras:
        _print(list_table(cameras))
    else:
        typer.echo("no camera yet: facestream cameras add NAME --url-file -", err=True)


def show(name: Name, as_json: AsJson = False, redis: StateRedis = None) -> None:
    """Show one camera: address without password, state, and every setting.

    Example:  facestream cameras show lobby
    """
    import json

    from facestream.commands.cameras_table import described, show_table

    registry, _ = open_registry(redis)
    with registry:
        camera = described(registry.get(name), registry.states().get(name), registry.alive())
    if as_json or not sys.stdout.isatty():
        typer.echo(json.dumps(camera, ensure_ascii=False, indent=2))
    else:
        _print(show_table(camera))


def pause(name: Name, redis: StateRedis = None) -> None:
    """Detach a camera and keep it in the registry.

    Example:  facestream cameras pause lobby
    """
    registry, _ = open_registry(redis)
    with registry:
        registry.pause(name)
    typer.echo(f"paused {name}", err=True)


def resume(name: Name, redis: StateRedis = None) -> None:
    """Attach a paused camera again.

    Example:  facestream cameras resume lobby
    """
    registry, _ = open_registry(redis)
    with registry:
        registry.resume(name)
    typer.echo(f"resumed {name}", err=True)


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    redis: StateRedis = None,
) -> None:
    """Remove a camera and its credentials; its results stay. On a terminal you are asked first.

    Example:  facestream cameras remove lobby --yes
    """
    from facestream.names import check_camera_name

    check_camera_name(name)
    registry, _ = open_registry(redis)
    with registry:
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Remove {name} and its credentials?", abort=True, err=True)
        if not registry.remove(name):
            raise UsageError(f"no camera is called {name}: `facestream cameras list` shows those there are")
    typer.echo(f"removed {name}", err=True)


def _warn_of_strangers(registry: Registry, what: str) -> None:
    if registry.skipped:
        typer.echo(
            f"facestream: passed over {registry.skipped} {what} that facestream did not write", err=True
        )


def _print(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
