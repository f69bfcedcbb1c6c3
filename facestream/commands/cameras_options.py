"""What the commands about cameras take: the address by four ways, and every setting as an option."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from facestream.cameras import KEYS, read_text
from facestream.errors import UsageError

if TYPE_CHECKING:
    from facestream.address_policy import AddressPolicy
    from facestream.bus.registry import Registry
    from facestream.camera_url import CameraUrl

_Command = TypeVar("_Command", bound=Callable[..., Any])

StateRedis = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        help="The broker that keeps the cameras; or FACESTREAM_STATE_REDIS, else FACESTREAM_REDIS.",
    ),
]
Url = Annotated[
    str | None,
    typer.Argument(metavar="URL", help="The address; process lists show it, so rather use --url-file -."),
]
UrlFile = Annotated[
    str | None, typer.Option(metavar="PATH", help="Read the address from a file, - for standard input.")
]
UrlEnv = Annotated[
    str | None, typer.Option(metavar="NAME", help="Take the address from a variable of the environment.")
]

_HELP: Mapping[str, str] = {
    "fps": "Frames a second at most, 0.1 to 120.",
    "max_side": "Longer side of the published frame, in pixels.",
    "quality": "JPEG quality, 20 to 100.",
    "max_age": "A frame older than this is dropped, such as 500ms.",
    "attributes": "What workers shall say of each face: none, or names such as gender,age.",
    "transport": "Of rtsp: tcp or udp.",
    "decode": "By what video is decoded: software, auto, or a kind of device such as cuda.",
    "stall_timeout": "No frame for so long is a stall, such as 10s.",
    "motion_gate": "Send only frames in which something moves.",
    "max_gap": "Nevertheless one frame this often, such as 2s.",
    "include": 'Only faces in here: points such as "0,0 1,0 1,0.5", in fractions of the picture.',
    "exclude": "No faces in here, alike; may be repeated.",
    "lines": 'The tracker counts who crosses it: "door: 0.1,0.5 0.9,0.5"; may be repeated.',
    "paused": "Keep it, but do not connect to it.",
}
_FLAGS = frozenset({"motion_gate", "paused"})
_LISTS: Mapping[str, str] = {"exclude": "--exclude", "lines": "--line"}


def takes_settings(command: _Command) -> _Command:
    """Replaces `**given` in a command's signature by an option for every setting of a camera."""
    signature = inspect.signature(command, eval_str=True)
    kept = [found for found in signature.parameters.values() if found.kind is not found.VAR_KEYWORD]
    options = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(key))
        for key in KEYS
    ]
    command.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return command


def _option(key: str) -> Any:
    name = f"--{key.replace('_', '-')}"
    if key in _FLAGS:
        return Annotated[
            bool | None, typer.Option(f"{name}/--no-{name[2:]}", help=_HELP[key], show_default=False)
        ]
    if key in _LISTS:
        return Annotated[list[str] | None, typer.Option(_LISTS[key], metavar="POINTS", help=_HELP[key])]
    names = ("--zone", name) if key == "include" else (name,)
    metavar = "POINTS" if key == "include" else "VALUE"
    return Annotated[str | None, typer.Option(*names, metavar=metavar, help=_HELP[key])]


def given_settings(given: Mapping[str, Any]) -> dict[str, object]:
    """The options that were given, as `CameraSettings.from_map` takes them."""
    return {
        key: read_text(key, value) if isinstance(value, str) else value
        for key, value in given.items()
        if value is not None and value != []
    }


def given_pairs(pairs: list[str]) -> dict[str, object]:
    """`key=value` each; no value is the default. A word without `=` is not repeated: it may be an address."""
    values: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(
                "write settings as key=value, such as fps=5; an address goes to --url-file or --url-env"
            )
        key = key.strip().replace("-", "_")
        if key == "url":
            raise UsageError(
                "another address is given with --url-file or --url-env: process lists show words"
            )
        values[key] = read_text(key, text)
    return values


def read_url(
    url: str | None, url_file: str | None, url_env: str | None, policy: AddressPolicy, *, ask: bool
) -> CameraUrl | None:
    """The camera's address by the one way used; without any it is asked for, or None unless `ask`."""
    from facestream.camera_url import CameraUrl

    if sum(way is not None for way in (url, url_file, url_env)) > 1:
        raise UsageError("give the address once: as URL, with --url-file or with --url-env")
    if url is not None:
        found = CameraUrl.parse(url, policy)
        if found.credentials is not None:
            typer.echo(
                "facestream: process lists and your shell's history now show this address with its password: "
                "better give it with --url-file - or --url-env NAME",
                err=True,
            )
        return found
    if url_file is not None:
        return CameraUrl.parse(_from_file(url_file), policy)
    if url_env is not None:
        return CameraUrl.parse(_from_environment(url_env), policy)
    if not ask:
        return None
    if not sys.stdin.isatty():
        raise UsageError(
            "which address? give it with --url-file - (standard input), --url-env NAME, or as URL"
        )
    return CameraUrl.parse(_typed(), policy)


def _typed() -> str:
    from getpass import getpass

    try:
        return getpass("Address, with user and password (not shown): ")
    except EOFError:
        raise typer.Abort from None


def _from_file(name: str) -> str:
    from facestream.camera_url import MAX_LENGTH

    if name == "-":
        if sys.stdin.isatty():
            return _typed()
        raw = sys.stdin.buffer.read(4 * MAX_LENGTH + 1)
    else:
        try:
            with Path(name).open("rb") as file:
                raw = file.read(4 * MAX_LENGTH + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no file"
            raise UsageError(f"the file given with --url-file cannot be read: {why.lower()}") from None
    try:
        lines = [line for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UsageError("what --url-file gave is no text in UTF-8") from None
    if len(lines) != 1:
        raise UsageError(f"--url-file gave {len(lines)} lines: it holds one address, and nothing else")
    return lines[0]


def _from_environment(name: str) -> str:
    value = os.environ.get(name) if name.isidentifier() else None
    if not value:
        raise UsageError(
            "the variable that --url-env names is not set: give its name, not the address itself"
        )
    return value


def open_registry(redis: str | None) -> tuple[Registry, AddressPolicy]:
    """The registry on the state broker, and what its cameras may reach from here."""
    from facestream.address_policy import AddressPolicy
    from facestream.bus.registry import Registry
    from facestream.settings import load_settings

    settings = load_settings(redis=redis)
    url = redis or settings.state_redis_url
    if url is None:
        raise UsageError(
            "which broker keeps the cameras? name it with --redis redis://host:6379/0, "
            "FACESTREAM_STATE_REDIS or FACESTREAM_REDIS"
        )
    policy = AddressPolicy.of(settings)
    return Registry(url, prefix=settings.prefix, policy=policy), policy
