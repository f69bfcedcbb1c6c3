"""What came from the broker as one line of JSON, whatever a stranger put into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_line(fields: Mapping[str, Any]) -> str:
    """Compact JSON without a line break; what JSON has no word for, such as NaN or bytes, is null."""
    try:
        return json.dumps(fields, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        plain = {name: _plain(value) for name, value in fields.items() if isinstance(name, str)}
        return json.dumps(plain, separators=(",", ":"))


def _plain(value: object) -> Any:
    try:
        text = json.dumps(value, default=lambda _: None, skipkeys=True)
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        return None
