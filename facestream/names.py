"""Camera names: what is valid, and how a file's name becomes one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from pathlib import PurePath

from facestream.errors import CameraNameError
from facestream.redaction import redact

MAX_LENGTH = 63
_VALID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_UNWANTED = re.compile(r"[^a-z0-9._-]+")


def is_camera_name(name: object) -> bool:
    return isinstance(name, str) and _VALID.fullmatch(name) is not None


def check_camera_name(name: str) -> str:
    if not is_camera_name(name):
        raise CameraNameError(
            f"{redact(name)[:80]!r} is not a camera name: use lower-case letters, digits, '.', '_' and '-', "
            f"at most {MAX_LENGTH}, beginning with a letter or digit, such as {slug(name)!r}"
        )
    return name


def slug(text: str) -> str:
    """The valid camera name nearest to a file's name: `My Clip.MP4` becomes `my-clip`.

    Of an address it is the end of the path, or the host: never what may hold a password.
    """
    scheme, separator, rest = redact(text).partition("://")
    if separator:
        host, _, path = rest.rpartition("@")[2].partition("/")
        path = re.split(r"[?#&=]", path)[0].rstrip("/")
        stem = PurePath(path).stem or re.split(r"[?#]", host)[0]
    else:
        stem = PurePath(scheme).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return _UNWANTED.sub("-", plain).strip("._-")[:MAX_LENGTH].rstrip("._-") or "camera"


def unique_slug(text: str, taken: Container[str]) -> str:
    """The slug of `text`, with `-2`, `-3`, … where it is taken."""
    base = slug(text)
    name, number = base, 2
    while name in taken:
        ending = f"-{number}"
        name, number = base[: MAX_LENGTH - len(ending)] + ending, number + 1
    return name
