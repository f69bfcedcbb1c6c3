"""What a reader of results asks of a broker, as values: whoever decides does no input or output.

Two performers carry them out: `link.Link` waits for replies, `async_link.AsyncLink` awaits them.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from facestream.bus.keys import Keys

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Open:
    """Make contact, anew where it was made before; answered by a Contact."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command; answered as the driver parses it."""

    words: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Several commands in one round trip; answered by the list of their replies."""

    commands: tuple[tuple[Any, ...], ...]
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so long."""

    seconds: float


Request = Open | Command | Together | Pause
Steps = Generator[Request, Any, T]
"""Requests one after the other, each answered by `send` or, when it failed, by `throw`; ends with a value."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A broker that was found fit. clock_ms: its clock. incarnation: empty where nobody has begun."""

    keys: Keys
    incarnation: str
    is_cluster: bool
    clock_ms: int
