"""What a reader of results asks of a broker, as values: whoever decides does no input or output.

Two performers carry them out: `link.Link` waits for replies, `async_link.AsyncLink` awaits them. Replies are
as the server sends them (RESP2), and not as the driver would parse them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from facestream.bus.keys import Keys

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Open:
    """Make contact, anew where it was made before; answered by a Contact."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command about a key, or several that one server holds; answered by its reply."""

    key: str
    words: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Several commands in one round trip to each server that is concerned; answered by all replies.

    atomic: nobody else's command comes between. In a cluster all keys are of one partition then.
    """

    commands: tuple[Command, ...]
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


def as_map(flat: Sequence[Any]) -> dict[str, Any]:
    """A reply of names and values in turn."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
