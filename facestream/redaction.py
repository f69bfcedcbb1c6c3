"""Addresses as they may be shown: without credentials."""

from __future__ import annotations

import re

# Deliberately greedy up to the last '@' before a space: a password may itself hold '@', '/' or '#'.
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)\S*@")
_SECRET_QUERY = re.compile(
    r"(?P<name>[?&;](?:[^=&;#\s]*(?:pass|pwd|token|secret|key|auth|user)[^=&;#\s]*)=)[^&;\s]*", re.IGNORECASE
)


def redact(text: str) -> str:
    """`text` with user names, passwords and secret query values of every address in it struck out."""
    return _SECRET_QUERY.sub(r"\g<name>***", _USERINFO.sub(r"\g<scheme>***@", text))
