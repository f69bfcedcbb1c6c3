"""Secrets of receivers: from a file or the environment, never from the command line, never shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from facestream.camera_url import Secret
from facestream.errors import UsageError
from facestream.settings import Settings

VARIABLE = "FACESTREAM_SINK_SECRET"
MAX_BYTES = 4096


def read_secret(file: Path | None, settings: Settings, say: Callable[[str], None]) -> Secret | None:
    """What the file holds, or else the environment; None where neither is given.

    Raises UsageError for a file that cannot be read, or is empty.
    """
    if file is None:
        given = settings.sink_secret
        return None if given is None else Secret(given.get_secret_value())
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
            mode = os.fstat(opened.fileno()).st_mode
    except OSError as error:
        raise UsageError(f"cannot read the secret in {file} ({error.strerror}): name another file") from None
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > MAX_BYTES:
        raise UsageError(f"{file} holds no secret: one line of text, such as openssl rand -hex 32 makes")
    if mode & 0o077:
        say(f"others may read the secret in {file}: chmod 600 {file}")
    return Secret(text)
