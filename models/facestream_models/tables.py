"""A table of a TOML file, read key by key, that refuses what nobody asked for."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from facestream.errors import CatalogueError

_REQUIRED = object()


class Table:
    """Takes keys out of a table with their type checked; `close` complains of those left over.

    where: how a complaint names this table. Every complaint is a CatalogueError of one line.
    """

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.where = where
        self._left = dict(values)
        self._known: list[str] = []

    def wrong(self, key: str, complaint: str) -> CatalogueError:
        return CatalogueError(f"{self.where}: {key} {complaint}")

    def take(self, key: str, default: Any = _REQUIRED) -> Any:
        self._known.append(key)
        value = self._left.pop(key, default)
        if value is _REQUIRED:
            # A misspelt key is both missing and unknown: say the useful half.
            near = get_close_matches(key, self._left, n=1)
            raise self.wrong(key, f"is missing: is {near[0]!r} meant to be it?" if near else "is missing")
        return value

    def close(self) -> None:
        for key in self._left:
            near = get_close_matches(key, self._known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._known)}"
            raise CatalogueError(f"{self.where}: unknown key {key!r}: {hint}")

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        value = self.take(key, default)
        if not isinstance(value, str) or not ((value.isprintable() and value.strip()) or value == default):
            raise self.wrong(key, "must be a text of one line")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], meaning: str) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.wrong(key, f"must be {meaning}, not {value[:80]!r}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: Any = _REQUIRED) -> str | None:
        value = self.take(key, default)
        if value == default or (isinstance(value, str) and value in choices):
            return value if isinstance(value, str) else None
        raise self.wrong(key, f"must be one of {', '.join(choices)}, not {str(value)[:80]!r}")

    def whole(self, key: str, least: int, most: int, default: Any = _REQUIRED) -> int:
        value = self.take(key, default)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"must be a whole number from {least} to {most}")
        return value

    def number(self, key: str, least: float, most: float, default: Any = _REQUIRED) -> float | None:
        value = self.take(key, default)
        if value is None and default is None:
            return None
        if type(value) not in (int, float) or not least <= value <= most:
            raise self.wrong(key, f"must be a number from {least:g} to {most:g}")
        return float(value)

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def list_of(self, key: str, kinds: type | tuple[type, ...], what: str) -> list[Any]:
        value = self.take(key)
        if not isinstance(value, list) or not all(
            isinstance(each, kinds) and not isinstance(each, bool) for each in value
        ):
            raise self.wrong(key, f"must be a list of {what}")
        return value

    def table(self, key: str) -> Table:
        value = self.take(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return Table(value, f"{self.where}, {key}")

    def subtables(self, key: str) -> list[Table]:
        """The tables of an array of tables, each named by its number from 1."""
        value = self.take(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(key, f"must be written as [[{key}]] tables")
        return [Table(each, f"{self.where}, {key} {number}") for number, each in enumerate(value, 1)]
