"""The kinds of values a camera's settings have: how each is read, checked, written, and typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from facestream.errors import UsageError
from facestream.lines import MAX_LINES, SHAPE, Line, read_lines
from facestream.redaction import redact
from facestream.zones import MAX_MASKS, Polygon, read_polygon

MAX_ATTRIBUTES: Final = 16
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(ms|s|m)")
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000}
_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Kind:
    """read: a map's value to the setting's own. check: the setting's own, as it is when it is one.

    write: the own to a map's. from_text: what is typed for it to a map's. shape: what it must be, for people.
    Both read and check raise UsageError without the setting's name.
    """

    read: Callable[[object], Any]
    check: Callable[[object], Any]
    write: Callable[[Any], object]
    from_text: Callable[[str], object]
    shape: str


def number(low: float, high: float, *, whole: bool = False) -> Kind:
    shape = f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}"

    def read(value: object) -> float:
        allowed = (int,) if whole else (int, float)
        if type(value) not in allowed or not low <= value <= high:  # type: ignore[operator]
            raise _unfit(shape, value)
        return value if whole else float(value)  # type: ignore[return-value, arg-type]

    def from_text(text: str) -> object:
        try:
            return int(text) if whole else float(text)
        except ValueError:
            return text

    return Kind(read, read, _same, from_text, shape)


def duration(low_ms: int, high_ms: int) -> Kind:
    shape = f"a time from {write_duration(low_ms)} to {write_duration(high_ms)}, such as 500ms, 2s or 1m"

    def check(value: object) -> int:
        if type(value) is not int or not low_ms <= value <= high_ms:
            raise _unfit(shape, write_duration(value) if type(value) is int else value)
        return value

    def read(value: object) -> int:
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise _unfit(shape, value)
        return check(round(float(found[1]) * _UNITS[found[2]]))

    return Kind(read, check, write_duration, str, shape)


def write_duration(milliseconds: int) -> str:
    for unit in ("m", "s"):
        if milliseconds % _UNITS[unit] == 0 and milliseconds:
            return f"{milliseconds // _UNITS[unit]}{unit}"
    return f"{milliseconds}ms"


def choice(*names: str) -> Kind:
    shape = " or ".join(names)

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise _unfit(shape, value)
        return value

    return Kind(read, read, _same, str.lower, shape)


def flag() -> Kind:
    shape = "true or false"

    def read(value: object) -> bool:
        if type(value) is not bool:
            raise _unfit(shape, value)
        return value

    return Kind(read, read, _same, lambda text: _FLAGS.get(text.lower(), text), shape)


def attributes() -> Kind:
    shape = f"none, or at most {MAX_ATTRIBUTES} names such as gender,age"

    def read(value: object) -> tuple[str, ...]:
        parts = value
        if isinstance(value, str):
            parts = [] if value.strip().lower() == "none" else [part.strip() for part in value.split(",")]
        if not isinstance(parts, Sequence) or len(parts) > MAX_ATTRIBUTES:
            raise _unfit(shape, value)
        if not all(isinstance(part, str) and _ROLE.fullmatch(part) for part in parts):
            raise _unfit(shape, value)
        return tuple(dict.fromkeys(parts))

    return Kind(read, read, list, str.lower, shape)


def polygon() -> Kind:
    return Kind(_polygon, _polygon, Polygon.to_list, str, 'points such as "0,0 1,0 1,0.5"')


def polygons() -> Kind:
    shape = f"at most {MAX_MASKS} polygons"

    def read(value: object) -> tuple[Polygon, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_MASKS:
            raise _unfit(shape, value)
        return tuple(map(_polygon, value))

    def from_text(text: str) -> object:
        return [part for part in text.split(";") if part.strip()]

    return Kind(read, read, _lists, from_text, shape + ', with ";" between')


def lines() -> Kind:
    shape = f"at most {MAX_LINES} lines, each {SHAPE}"

    def from_text(text: str) -> object:
        return [part for part in text.split(";") if part.strip()]

    return Kind(read_lines, read_lines, _line_texts, from_text, shape)


def _line_texts(value: tuple[Line, ...]) -> object:
    return [line.to_text() for line in value]


def _polygon(value: object) -> Polygon:
    return value if isinstance(value, Polygon) else read_polygon(value)


def _lists(masks: tuple[Polygon, ...]) -> object:
    return [mask.to_list() for mask in masks]


def _same(value: Any) -> Any:
    return value


def _unfit(shape: str, value: object) -> UsageError:
    said = redact(f"{value!r}" if isinstance(value, str | int | float) else type(value).__name__)
    given = said if len(said) <= 40 else said[:37] + "…"
    return UsageError(f"must be {shape}, not {given}")
