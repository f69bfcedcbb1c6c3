"""What the user of a reader wants, checked once."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from facestream.errors import UsageError
from facestream.names import check_camera_name
from facestream.results.positions import Start, check_start

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
MAX_WINDOW = 10_000


@dataclass(frozen=True, slots=True)
class Wishes:
    """See `ResultReader` for what each means. cameras: None for all; group: None to read without one."""

    group: str | None
    consumer: str
    cameras: frozenset[str] | None
    start: Start
    is_automatic: bool
    order_window: int
    order_seconds: float
    adopt_after_seconds: float


def check_wishes(
    *,
    group: str | None,
    consumer: str | None,
    cameras: Iterable[str] | None,
    start: Start,
    auto_acknowledge: bool,
    order_window: int,
    order_seconds: float,
    adopt_after_seconds: float,
) -> Wishes:
    """Raises UsageError in one line on what makes no sense."""
    if isinstance(cameras, str):
        cameras = [cameras]
    if consumer is not None and group is None:
        raise UsageError("a consumer's name needs a group: name both, or neither")
    for what, name in (("group", group), ("consumer", consumer)):
        if name is not None and not _NAME.fullmatch(name):
            raise UsageError(f"{what}={name[:80]!r}: use letters, digits and . _ : @ -, at most 128")
    if not 0 <= order_window <= MAX_WINDOW:
        raise UsageError(f"order_window={order_window}: from 0 (as they come) to {MAX_WINDOW}")
    if not 0 < order_seconds <= 3600:
        raise UsageError(f"order_seconds={order_seconds}: more than 0, at most 3600")
    if not 0 < adopt_after_seconds <= 86_400:
        raise UsageError(f"adopt_after_seconds={adopt_after_seconds}: more than 0, at most 86400")
    wanted = None if cameras is None else frozenset(check_camera_name(camera) for camera in cameras)
    if wanted is not None and not wanted:
        raise UsageError("cameras is empty: leave it out to read all of them")
    own = consumer or f"{socket.gethostname()[:60] or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
    own = re.sub(r"[^A-Za-z0-9._:@-]", "-", own)
    return Wishes(
        group,
        own,
        wanted,
        check_start(start),
        auto_acknowledge,
        order_window,
        order_seconds,
        adopt_after_seconds,
    )
