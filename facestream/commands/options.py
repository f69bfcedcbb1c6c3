"""Options that several commands share, and what they mean."""

from __future__ import annotations

import re

from facestream.errors import UsageError
from facestream.settings import Settings

_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def require_redis(settings: Settings) -> str:
    """The broker's address; raises UsageError when nobody named one."""
    if settings.redis_url is None:
        raise UsageError("which broker? name it with --redis redis://host:6379/0 or FACESTREAM_REDIS")
    return settings.redis_url


def parse_attributes(text: str) -> tuple[str, ...]:
    """`none`, or roles separated by commas: `gender,age` -> ('gender', 'age')."""
    if text.strip().lower() == "none":
        return ()
    roles = tuple(dict.fromkeys(role.strip() for role in text.lower().split(",")))
    if not all(_ROLE.fullmatch(role) for role in roles):
        raise UsageError(f"--attributes {text!r}: none, or names separated by commas such as gender,age")
    return roles
