"""One finding about this machine, its models or its broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what to do about it.

    `warn` works but not as it should, `fail` does not work. Both texts are one line and hold no
    credentials; `remedy` is empty when nothing is to be done.

    A package adds its own through an entry point of the group `facestream.checks`: a function that takes
    the Settings and gives Checks.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""


def ok(name: str, text: str) -> Check:
    return Check(name, "ok", text)


def warn(name: str, text: str, remedy: str) -> Check:
    return Check(name, "warn", text, remedy)


def fail(name: str, text: str, remedy: str) -> Check:
    return Check(name, "fail", text, remedy)
