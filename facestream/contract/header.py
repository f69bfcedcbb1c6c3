"""The header beside every published frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facestream.contract.fields import (
    MAX_HEADER_BYTES,
    VERSION,
    Clock,
    broken,
    check_version,
    pack,
    read_camera,
    read_clock,
    read_integer,
    read_region,
    read_size,
    read_text,
    unpack_map,
)
from facestream.errors import UsageError
from facestream.zones import Zone, read_zone


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """All that is said of a frame beside its encoded picture.

    `width` x `height` is the picture as encoded; `region` the part of the source picture
    (`source_width` x `source_height`) it shows, in source pixels. `held_us`: how long the producer held
    it, by its monotonic clock. `max_age_ms`: drop it when older, None for a lossless source.
    `attributes`: which are wanted, None for all that the worker has. `zone`: faces outside of it are not
    to be reported, in fractions of the source picture.
    """

    camera: str
    source: str
    epoch: int
    seq: int
    pts_us: int
    captured_at_us: int
    clock: Clock
    width: int
    height: int
    source_width: int
    source_height: int
    region: tuple[int, int, int, int]
    held_us: int = 0
    max_age_ms: int | None = None
    attributes: tuple[str, ...] | None = None
    codec: str = "jpeg"
    zone: Zone | None = None

    def to_map(self) -> dict[str, Any]:
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields["zone"] = None if self.zone is None else self.zone.to_map()
        return {"v": VERSION} | {name: value for name, value in fields.items() if value is not None}

    def pack(self) -> bytes:
        # Half a zone's bytes, and good for a ten-thousandth of a pixel.
        return pack(self.to_map(), single_floats=True)

    @classmethod
    def unpack(cls, data: bytes) -> FrameHeader:
        """Raises FrameRefused (contract_error) on anything but a header of this version."""
        return _header_from(unpack_map(data, MAX_HEADER_BYTES, max_items=64))


def _header_from(fields: Mapping[str, Any]) -> FrameHeader:
    check_version(fields)
    width, height = read_size(fields, "width", "height")
    source_width, source_height = read_size(fields, "source_width", "source_height")
    return FrameHeader(
        camera=read_camera(fields),
        source=read_text(fields, "source"),
        epoch=read_integer(fields, "epoch"),
        seq=read_integer(fields, "seq"),
        pts_us=read_integer(fields, "pts_us"),
        captured_at_us=read_integer(fields, "captured_at_us"),
        clock=read_clock(fields),
        width=width,
        height=height,
        source_width=source_width,
        source_height=source_height,
        region=read_region(fields, source_width, source_height),
        held_us=read_integer(fields, "held_us"),
        max_age_ms=None if fields.get("max_age_ms") is None else read_integer(fields, "max_age_ms"),
        attributes=_attributes(fields),
        codec=read_text(fields, "codec"),
        zone=_zone(fields),
    )


def _attributes(fields: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = fields.get("attributes")
    if names is None:
        return None
    if isinstance(names, list) and len(names) <= 16 and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise broken("'attributes' is not a list of at most 16 names")


def _zone(fields: Mapping[str, Any]) -> Zone | None:
    zone = fields.get("zone")
    try:
        return None if zone is None else read_zone(zone)
    except UsageError as error:
        raise broken(f"'zone': {error}") from None
