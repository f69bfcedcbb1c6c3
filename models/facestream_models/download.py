"""Downloads from an http address: bounded in size, and continued where it broke off."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast

from facestream import __version__
from facestream_models.model import Model, UrlSource
from facestream_models.sources import Report, SourceFailed, right_bytes

TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 256 << 10
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


class _BrokeOff(Exception):
    """The connection failed; what has come so far is in the part file."""


def download(source: UrlSource, part: Path, model: Model, report: Report) -> bytes:
    """The model's verified bytes; never more than one byte over `model.bytes` is read.

    part: keeps what has come when the connection breaks, and the next try, of this process or a later one,
    goes on from there. Raises SourceFailed, and OSError where the local disk is at fault.
    """
    continued = _size_of(part) > 0
    content = _whole(source, part, model, report)
    try:
        return right_bytes(content, model)
    except SourceFailed:
        if not continued:
            raise
    # What an earlier try had left may have been of another file: once more, from the beginning.
    return right_bytes(_whole(source, part, model, report), model)


def _whole(source: UrlSource, part: Path, model: Model, report: Report) -> bytes:
    """Goes on for as long as every connection brings something."""
    while True:
        before = _size_of(part)
        try:
            _go_on(source, part, model, report)
            break
        except _BrokeOff as reason:
            if _size_of(part) <= before:
                raise SourceFailed(f"the connection broke off: {reason}") from None
    content = part.read_bytes()
    part.unlink()
    return content


def _go_on(source: UrlSource, part: Path, model: Model, report: Report) -> None:
    have = _size_of(part)
    if have == model.bytes:
        return
    if have > model.bytes:
        part.unlink()
        have = 0
    with _open(source, have, part) as response:
        if response.status != PARTIAL_CONTENT:
            have = 0
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            while chunk := _read(response, min(CHUNK_BYTES, model.bytes + 1 - have)):
                file.write(chunk)
                have += len(chunk)
                report(have, model.bytes)
    if have < model.bytes:
        raise _BrokeOff(f"{have} of {model.bytes} bytes came")


def _open(source: UrlSource, have: int, part: Path) -> HTTPResponse:
    headers = {"User-Agent": f"facestream/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(source.url, headers=headers)  # noqa: S310 (the catalogue takes http only)
    try:
        response = cast(HTTPResponse, urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS))  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            return _open(source, 0, part)
        raise SourceFailed(f"the server answers {error.code} {error.reason}") from None
    except (HTTPException, OSError, ValueError) as error:
        raise SourceFailed(f"cannot be reached: {getattr(error, 'reason', error)}") from None
    if have and response.status == PARTIAL_CONTENT and not _starts_at(response, have):
        response.close()
        raise SourceFailed("the server sends another range than was asked for")
    return response


def _starts_at(response: HTTPResponse, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _read(response: HTTPResponse, most_bytes: int) -> bytes:
    try:
        return response.read(most_bytes)
    except (HTTPException, OSError, ValueError) as error:
        raise _BrokeOff(str(error) or type(error).__name__) from None


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
