"""How a camera is doing, as its producer says and everybody may read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal, get_args

from facestream.errors import UsageError
from facestream.redaction import redact

State = Literal["connecting", "live", "stalled", "unauthorized", "not_found", "paused", "failed"]
STATES: Final = frozenset(get_args(State))

MAX_ERROR: Final = 300
MAX_HOLDER: Final = 128
MAX_BYTES: Final = 4096
_MAX_TIME_US: Final = 2**53
# Cut before it is redacted, a text could lose the @ that shows where a password ends: so only far behind.
_MAX_READ: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class CameraState:
    """A camera's state since `since_us` (µs since 1970), its last error, and the producer that holds it.

    The error is made one line of printable text without credentials. Raises UsageError for an unknown state.
    """

    state: State
    since_us: int
    error: str | None = None
    holder: str = ""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise UsageError(f"{str(self.state)[:40]!r} is no state: {', '.join(sorted(STATES))}")
        if not 0 <= self.since_us <= _MAX_TIME_US:
            raise UsageError(f"{self.since_us} is no time in µs")
        error = None if self.error is None else plain_line(self.error, MAX_ERROR)
        object.__setattr__(self, "error", error or None)
        object.__setattr__(self, "holder", plain_line(self.holder, MAX_HOLDER))

    def pack(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def unpack(cls, packed: bytes) -> CameraState | None:
        """The state that was packed; None for anything else."""
        if len(packed) > MAX_BYTES:
            return None
        try:
            fields = json.loads(packed)
            state, since_us = fields["state"], fields["since_us"]
            error, holder = fields.get("error"), fields.get("holder", "")
            if type(since_us) is not int or not isinstance(error, str | None) or not isinstance(holder, str):
                return None
            return cls(state, since_us, error, holder)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, UsageError):
            return None


def plain_line(text: str, limit: int) -> str:
    """One line without credentials and without characters that would move a terminal's cursor."""
    line = "".join(char if char.isprintable() else " " for char in redact(text[:_MAX_READ]))
    return " ".join(line.split())[:limit]
