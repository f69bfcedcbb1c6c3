"""What a camera is asked for: rate, size, age, zones; every value checked, every unknown key refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

from facestream.camera_values import (
    Kind,
    attributes,
    choice,
    duration,
    flag,
    lines,
    number,
    polygon,
    polygons,
)
from facestream.errors import UsageError
from facestream.lines import Line
from facestream.zones import Polygon, Zone

# Besides the processor and whatever is there: FFmpeg's names for kinds of device that decode video.
DECODERS: Final = ("software", "auto", "cuda", "vaapi", "vdpau", "videotoolbox", "vulkan")

_SECOND: Final = 1000
_MINUTE: Final = 60 * _SECOND
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,29}")


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """A camera's settings; None leaves it to the producer's own.

    fps: frames a second at most. decode: by what, one of DECODERS. attributes: what workers shall say of each
    face. stall_timeout_ms: no frame for so long is a stall. motion_gate: send only what moves, and one frame
    every max_gap_ms. include: faces outside are not reported; exclude: nor those inside of these. lines: the
    tracker counts who crosses them.
    Raises UsageError, one line that begins with the setting's key, for a value out of its bounds.
    """

    fps: float | None = None
    max_side: int | None = None
    quality: int | None = None
    max_age_ms: int | None = None
    attributes: tuple[str, ...] | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    decode: str = "software"
    stall_timeout_ms: int = 10 * _SECOND
    motion_gate: bool = False
    max_gap_ms: int = 2 * _SECOND
    include: Polygon | None = None
    exclude: tuple[Polygon, ...] = ()
    lines: tuple[Line, ...] = ()
    paused: bool = False

    def __post_init__(self) -> None:
        for key, (field, kind) in KEYS.items():
            value = getattr(self, field)
            if value is not None or DEFAULTS[key] is not None:
                object.__setattr__(self, field, _told(key, kind.check, value))

    @property
    def zone(self) -> Zone | None:
        """What of its picture counts; None when all of it does."""
        if self.include is None and not self.exclude:
            return None
        include = None if self.include is None else self.include.points
        return Zone(include, tuple(mask.points for mask in self.exclude))

    @classmethod
    def from_map(cls, values: Mapping[str, object]) -> CameraSettings:
        """From what a file or the registry holds: keys as in KEYS, times as "500ms"; None is the default.

        Raises UsageError in one line; of an unknown key it names the nearest known one.
        """
        return cls().changed(values)

    def changed(self, values: Mapping[str, object]) -> CameraSettings:
        """These settings with some of another value; None brings back the default."""
        changes: dict[str, Any] = {}
        for key, value in values.items():
            field, kind = _known(key)
            changes[field] = DEFAULTS[key] if value is None else _told(key, kind.read, value)
        return replace(self, **changes)

    def to_map(self, *, whole: bool = False) -> dict[str, object]:
        """What `from_map` makes the same of; only what differs from the defaults unless `whole`."""
        shown: dict[str, object] = {}
        for key, (field, kind) in KEYS.items():
            value = getattr(self, field)
            if whole or value != DEFAULTS[key]:
                shown[key] = None if value is None else kind.write(value)
        return shown


KEYS: Final[Mapping[str, tuple[str, Kind]]] = {
    "fps": ("fps", number(0.1, 120)),
    "max_side": ("max_side", number(64, 8192, whole=True)),
    "quality": ("quality", number(20, 100, whole=True)),
    "max_age": ("max_age_ms", duration(1, 60 * _MINUTE)),
    "attributes": ("attributes", attributes()),
    "transport": ("transport", choice("tcp", "udp")),
    "decode": ("decode", choice(*DECODERS)),
    "stall_timeout": ("stall_timeout_ms", duration(500, 10 * _MINUTE)),
    "motion_gate": ("motion_gate", flag()),
    "max_gap": ("max_gap_ms", duration(100, 60 * _MINUTE)),
    "include": ("include", polygon()),
    "exclude": ("exclude", polygons()),
    "lines": ("lines", lines()),
    "paused": ("paused", flag()),
}
DEFAULTS: Final[Mapping[str, Any]] = {
    key: next(field.default for field in fields(CameraSettings) if field.name == name)
    for key, (name, _) in KEYS.items()
}


def read_text(key: str, text: str) -> object:
    """What was typed for a setting, as `from_map` takes it; nothing typed is the default."""
    return _known(key)[1].from_text(text.strip()) if text.strip() else None


def unknown_key(key: object, known: Mapping[str, object], what: str) -> UsageError:
    """The line that refuses a key and names the nearest; what may be part of an address is not shown."""
    if not isinstance(key, str) or not _PLAIN_KEY.fullmatch(key):
        return UsageError(f"what is given is no {what}: known are {', '.join(known)}")
    nearest = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
    return UsageError(f"{key!r} is no {what}: {hint}")


def _known(key: str) -> tuple[str, Kind]:
    if not isinstance(key, str) or key not in KEYS:
        raise unknown_key(key, KEYS, "setting of a camera")
    return KEYS[key]


def _told(key: str, read: Any, value: object) -> Any:
    try:
        return read(value)
    except UsageError as error:
        separator = " " if str(error).startswith("must be") else ": "
        raise UsageError(f"{key}{separator}{error}") from None
