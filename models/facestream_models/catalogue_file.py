"""Reads a catalogue file: strict, and every complaint one line that names the place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from facestream.errors import CatalogueError
from facestream_models.model import (
    DETECTOR,
    Activation,
    Channels,
    Derivation,
    FileSource,
    Input,
    Layout,
    Model,
    Output,
    OutputKind,
    Source,
    Triple,
    UrlSource,
    WheelSource,
)
from facestream_models.tables import Table

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
ROLE = re.compile(r"[a-z][a-z0-9_-]{0,30}")
SHA256 = re.compile(r"[0-9a-f]{64}")
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*")
LARGEST_BYTES = 4 << 30
LARGEST_SIDE_PX = 4096


def read_catalogue_file(path: Path) -> list[Model]:
    """The models of one catalogue file, in its order; CatalogueError for anything that is not right."""
    root = Table(_parse(path), path.name)
    entries = root.subtables("model")
    root.close()
    if not entries:
        raise CatalogueError(f"the catalogue {path} holds no [[model]]")
    return [_model(entry, path) for entry in entries]


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise CatalogueError(f"cannot read the catalogue {path}: {reason}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"the catalogue {path} is not TOML: {error}") from None


def _model(table: Table, path: Path) -> Model:
    name = table.matching("name", NAME, "small letters, digits, dot, dash and underscore")
    table.where = f"{path.name}: model {name!r}"
    derive = table.choice("derive", get_args(Derivation), default=None)
    model = Model(
        name=name,
        role=table.matching("role", ROLE, "small letters, digits, dash and underscore"),
        licence=table.text("licence"),
        homepage=table.text("homepage", default=""),
        sha256=_sha256(table, "sha256"),
        bytes=table.whole("bytes", 1, LARGEST_BYTES),
        input=_input(table.table("input")),
        output=_output(table.table("output")),
        sources=tuple(_source(entry, path.parent) for entry in table.subtables("sources")),
        default=table.flag("default", default=False),
        derive=cast("Derivation | None", derive),
        derived_sha256=_sha256(table, "derived_sha256") if derive else None,
    )
    table.close()
    _agree(table, model)
    return model


def _agree(table: Table, model: Model) -> None:
    """What each key may be alone, but not together."""
    detects = model.output.kind == "yunet"
    if detects != (model.role == DETECTOR):
        raise table.wrong("output", f"of kind {model.output.kind!r} does not fit the role {model.role!r}")
    if not detects and model.input.width is None:
        raise table.wrong("input", "must say the size of a face chip, in pixels")
    if not detects and model.input.chip_padding is None:
        raise table.wrong("input", "must say chip_padding (0.2 is the built-in models' own)")
    if not model.sources:
        raise table.wrong("sources", "must name at least one place to get the weights from")


def _input(table: Table) -> Input:
    width, height = _size(table)
    result = Input(
        width=width,
        height=height,
        multiple_of=table.whole("multiple_of", 1, 256, default=1),
        channels=cast(Channels, table.choice("channels", get_args(Channels))),
        mean=_triple(table, "mean", 0.0),
        scale=_triple(table, "scale", 1.0),
        layout=cast(Layout, table.choice("layout", get_args(Layout), default="NCHW")),
        chip_padding=table.number("chip_padding", 0.0, 2.0, default=None),
    )
    table.close()
    return result


def _size(table: Table) -> tuple[int | None, int | None]:
    value = table.take("size")
    if value == "any":
        return None, None
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE_PX for side in sides):
        raise table.wrong("size", 'must be a side in pixels, [width, height] or "any"')
    return sides[0], sides[1]


def _triple(table: Table, key: str, default: float) -> Triple:
    value = table.take(key, default)
    values = value if isinstance(value, list) else [value] * 3
    numbers = [float(each) for each in values if type(each) in (int, float) and isfinite(each)]
    if len(numbers) != 3 or len(values) != 3:
        raise table.wrong(key, "must be one number, or three in the order of channels")
    return numbers[0], numbers[1], numbers[2]


def _output(table: Table) -> Output:
    kind = cast(OutputKind, table.choice("kind", get_args(OutputKind)))
    labels: tuple[str, ...] = ()
    years: tuple[float, ...] = ()
    if kind == "labels":
        labels = tuple(table.list_of("labels", str, "words"))
        if len(labels) < 2 or len(set(labels)) != len(labels) or "unknown" in labels:
            raise table.wrong("labels", "must be two or more different words, and not 'unknown'")
    if kind == "age-distribution":
        years = tuple(float(year) for year in table.list_of("years", (int, float), "numbers"))
        if len(years) < 2 or list(years) != sorted(set(years)) or not all(map(isfinite, years)):
            raise table.wrong("years", "must be two or more numbers in rising order")
    activation = cast(Activation, table.choice("activation", get_args(Activation), default="none"))
    table.close()
    return Output(kind=kind, labels=labels, years=years, activation=activation)


def _source(table: Table, folder: Path) -> Source:
    read: dict[str, Callable[[Table, Path], Source]] = {"wheel": _wheel, "url": _url, "file": _file}
    source = read[cast(str, table.choice("kind", tuple(read)))](table, folder)
    table.close()
    return source


def _wheel(table: Table, _folder: Path) -> Source:
    return WheelSource(
        requirement=table.matching("requirement", PINNED, "a pinned requirement such as name==1.0"),
        wheel_sha256=_sha256(table, "wheel_sha256"),
        member=table.text("member"),
    )


def _url(table: Table, _folder: Path) -> Source:
    url = table.text("url")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise table.wrong("url", "must be an http or https address")
    if "@" in parts.netloc:
        raise table.wrong("url", "must not carry a user or a password")
    return UrlSource(url)


def _file(table: Table, folder: Path) -> Source:
    return FileSource(folder / Path(table.text("path")).expanduser())


def _sha256(table: Table, key: str) -> str:
    return table.matching(key, SHA256, "64 hexadecimal digits in small letters")
