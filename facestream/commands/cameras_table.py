"""Cameras as they are shown: with state, since when, and the last error; never with credentials."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from facestream.bus.camera_entry import Camera
    from facestream.camera_state import CameraState

UNATTENDED = "unattended"


def described(camera: Camera, state: CameraState | None, alive: Container[str]) -> dict[str, Any]:
    """One camera for JSON. state: as last reported; attended: whether the producer that said so is alive."""
    return {
        "name": camera.name,
        "address": camera.address,
        "has_credentials": camera.has_credentials,
        "state": state.state if state else None,
        "since_us": state.since_us if state else None,
        "error": state.error if state else None,
        "holder": state.holder if state else None,
        "attended": state is not None and state.holder in alive,
        "settings": camera.settings.to_map(whole=True),
    }


def standing(camera: dict[str, Any]) -> str:
    """The state in one word: what a producer says counts only while it lives."""
    if camera["settings"]["paused"]:
        return "paused"
    return camera["state"] if camera["attended"] else UNATTENDED


def list_table(cameras: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(
        "camera", "address", "state", "since", "last error", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for camera in cameras:
        table.add_row(
            *map(_plain, (camera["name"], camera["address"], standing(camera), _since(camera))),
            _plain(camera["error"] or ""),
        )
    return table


def show_table(camera: dict[str, Any]) -> Table:
    from rich.table import Table

    from facestream.cameras import CameraSettings

    usual = CameraSettings().to_map(whole=True)
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    head = {"camera": camera["name"], "address": camera["address"], "state": standing(camera)}
    head |= {"since": _since(camera), "last error": camera["error"], "producer": camera["holder"]}
    for name, value in head.items():
        if value:
            table.add_row(name, _plain(str(value)))
    for key, value in camera["settings"].items():
        table.add_row(key, _plain(setting_text(value)), "" if value != usual[key] else "(default)")
    return table


def setting_text(value: Any) -> str:
    """A setting's value as it is typed after `key=`."""
    if value is None:
        return "as the producer is set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, list):
        return str(value)
    if not value or isinstance(value[0], str):
        return ",".join(value) or "none"
    if isinstance(value[0][0], list):
        return "; ".join(map(setting_text, value))
    return " ".join(f"{x:g},{y:g}" for x, y in value)


def _since(camera: dict[str, Any]) -> str:
    if not camera["attended"]:
        return ""
    try:
        return datetime.fromtimestamp(camera["since_us"] / 1e6).astimezone().isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _plain(text: str) -> Any:
    """Not markup: an address may hold brackets."""
    from rich.text import Text

    return Text(text, overflow="fold")
