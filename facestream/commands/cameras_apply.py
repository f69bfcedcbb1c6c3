"""`facestream cameras apply`: the registry becomes what a file says, after its difference was shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facestream.commands.cameras_options import StateRedis, open_registry
from facestream.commands.cameras_table import setting_text
from facestream.errors import BusRefused, UsageError

if TYPE_CHECKING:
    from facestream.bus.camera_entry import Camera
    from facestream.bus.registry import Registry
    from facestream.camera_file import WantedCamera

HELP = """Make the registry what a file says: add, change and remove cameras, after showing the difference.

The file is YAML, or TOML by its name; `cameras` in it holds each camera's `url` and settings:

    cameras:
      lobby:
        url: rtsp://admin:${LOBBY_PASSWORD}@10.0.0.7/live
        fps: 5
        max_age: 500ms

`${NAME}` is taken from the environment, so that no password need be in the file.

Examples:

facestream cameras apply cameras.yaml --dry-run

facestream cameras apply cameras.yaml --yes
"""


@dataclass(slots=True)
class Difference:
    """What has to be done: new cameras, those gone, and what changes of the others in words."""

    added: list[str] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)  # of the changed: those with another address

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def apply(
    file: Annotated[str, typer.Argument(metavar="FILE", help="cameras.yaml, or cameras.toml.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Show the difference as JSON.")] = False,
    redis: StateRedis = None,
) -> None:
    from facestream.camera_file import read_camera_file

    if "://" in file:
        raise UsageError("FILE is a file such as cameras.yaml, no address")
    registry, policy = open_registry(redis)
    with registry:
        wanted = read_camera_file(Path(file), policy)
        present = {camera.name: camera for camera in registry.list()}
        difference = compare(registry, present, wanted)
        _show(difference, present, wanted, as_json)
        if dry_run or not difference:
            return
        if not yes:
            _ask()
        carry_out(registry, difference, wanted)
        counts = f"{len(difference.added)} added, {len(difference.changed)} changed"
        typer.echo(f"{counts}, {len(difference.removed)} removed", err=True)


def compare(registry: Registry, present: dict[str, Camera], wanted: dict[str, WantedCamera]) -> Difference:
    found = Difference(removed=sorted(present.keys() - wanted.keys()))
    for name in sorted(wanted):
        if name not in present:
            found.added.append(name)
            continue
        lines = list(_address_changes(registry, present[name], wanted[name]))
        if lines:
            found.moved.add(name)
        before, after = present[name].settings.to_map(whole=True), wanted[name].settings.to_map(whole=True)
        lines += [
            f"{key}: {setting_text(before[key])} → {setting_text(value)}"
            for key, value in after.items()
            if value != before[key]
        ]
        if lines:
            found.changed[name] = lines
    return found


def _address_changes(registry: Registry, camera: Camera, wanted: WantedCamera) -> Iterator[str]:
    if str(wanted.url) != camera.address:
        yield f"address: {camera.address} → {wanted.url}"
        return
    try:
        same = registry.reveal(camera.name) == wanted.url
    except UsageError:  # gone, or not to be reached from here
        same = False
    except BusRefused:  # whoever may only write credentials writes them again
        yield "user or password: written again, since they may not be read to compare"
        return
    if not same:
        yield "user or password: changed"


def carry_out(registry: Registry, difference: Difference, wanted: dict[str, WantedCamera]) -> None:
    for name in difference.removed:
        registry.remove(name)
    for name in difference.changed:
        url = wanted[name].url if name in difference.moved else None
        registry.change(name, url=url, settings=wanted[name].settings)
    for name in difference.added:
        registry.add(name, wanted[name].url, wanted[name].settings)


def _show(
    difference: Difference, present: dict[str, Camera], wanted: dict[str, WantedCamera], as_json: bool
) -> None:
    import json

    if as_json:
        parts: dict[str, Any] = {"added": difference.added, "changed": difference.changed}
        typer.echo(json.dumps(parts | {"removed": difference.removed}, ensure_ascii=False))
        return
    for name in difference.added:
        camera = wanted[name]
        settings = [f"{key} {setting_text(value)}" for key, value in camera.settings.to_map().items()]
        typer.echo("  ".join([f"+ {name}", str(camera.url), ", ".join(settings)]).rstrip())
    for name, lines in difference.changed.items():
        typer.echo("\n".join([f"~ {name}", *(f"    {line}" for line in lines)]))
    for name in difference.removed:
        typer.echo(f"- {name}  {present[name].address}")
    if not difference:
        typer.echo("nothing to change: the registry is as the file says", err=True)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError("nothing was changed: add --yes where nobody can be asked, or --dry-run only to see")
    typer.confirm("Do this?", abort=True, err=True)
