"""What travels: the header beside every published frame, and the result every frame ends as.

Both are msgpack maps with string keys and a schema version `v`; docs/contract.md describes them
for other languages. Fields are only ever added within a version, and a reader ignores what it
does not know. Whatever comes from the broker is bounded before it is believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

import msgpack

from facestream.errors import FrameRefused, UsageError
from facestream.names import is_camera_name
from facestream.zones import Zone, read_zone

VERSION: Final = 1

# Room for the largest zone: 17 polygons of 64 points.
MAX_HEADER_BYTES: Final = 16 << 10
MAX_REJECT_BYTES: Final = 4096
MAX_RESULT_BYTES: Final = 4 << 20
MAX_IMAGE_BYTES: Final = 32 << 20
MAX_SIDE: Final = 16_384
MAX_PIXELS: Final = 100_000_000
# In bytes: a name of 500 characters takes up to four bytes each.
_MAX_TEXT: Final = 2048
_MAX_INTEGER: Final = 2**53

Clock = Literal["receipt", "sender", "file"]
CLOCKS: Final = frozenset({"receipt", "sender", "file"})


class SourceDrop(StrEnum):
    """Why a captured frame was never published."""

    FPS_LIMIT = "fps_limit"
    MOTION_GATE = "motion_gate"
    SOURCE_QUEUE_FULL = "source_queue_full"
    SOURCE_CORRUPT = "source_corrupt"
    BROKER_DOWN = "broker_down"
    BROKER_FULL = "broker_full"
    ENCODE_ERROR = "encode_error"
    SHUTDOWN = "shutdown"


class DropReason(StrEnum):
    """Why a published frame ended without a result."""

    TRIMMED_UNREAD = "trimmed_unread"
    TOO_OLD = "too_old"
    DECODE_ERROR = "decode_error"
    CONTRACT_ERROR = "contract_error"
    MODEL_ERROR = "model_error"
    POISON = "poison"
    VANISHED = "vanished"
    LOST_IN_BROKER = "lost_in_broker"
    REMOVED = "removed"


class LabelMap(TypedDict):
    label: str
    score: float


class YearsMap(TypedDict):
    years: float | None
    score: float


class FaceMap(TypedDict):
    box: list[float]
    score: float
    landmarks: list[list[float]]
    attributes: dict[str, LabelMap | YearsMap]


class ResultMap(TypedDict):
    """One frame's result, exactly as it is published and printed."""

    v: int
    camera: str
    source: str
    epoch: int
    seq: int
    pts_us: int
    captured_at_us: int
    clock: str
    completed_at_us: int
    width: int
    height: int
    source_width: int
    source_height: int
    region: list[int]
    faces: list[FaceMap]
    models: dict[str, str]
    timings_ms: dict[str, float]
    worker: str


class RejectMap(TypedDict):
    """A frame that ended without a result, and why; never its picture."""

    v: int
    camera: str
    reason: str
    error: str
    entry: str
    attempts: int
    worker: str
    refused_at_us: int
    epoch: NotRequired[int]
    seq: NotRequired[int]


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
        return _pack(self.to_map(), single_floats=True)

    @classmethod
    def unpack(cls, data: bytes) -> FrameHeader:
        """Raises FrameRefused (contract_error) on anything but a header of this version."""
        return _header_from(_unpack_map(data, MAX_HEADER_BYTES, max_items=64))


def describe_result(
    header: FrameHeader,
    faces: list[FaceMap],
    *,
    models: dict[str, str],
    timings_ms: dict[str, float],
    worker: str,
    completed_at_us: int,
) -> ResultMap:
    return {
        "v": VERSION,
        "camera": header.camera,
        "source": header.source,
        "epoch": header.epoch,
        "seq": header.seq,
        "pts_us": header.pts_us,
        "captured_at_us": header.captured_at_us,
        "clock": header.clock,
        "completed_at_us": completed_at_us,
        "width": header.width,
        "height": header.height,
        "source_width": header.source_width,
        "source_height": header.source_height,
        "region": list(header.region),
        "faces": faces,
        "models": models,
        "timings_ms": timings_ms,
        "worker": worker,
    }


def pack_result(result: ResultMap) -> bytes:
    return _pack(result)


def unpack_result(data: bytes) -> ResultMap:
    """Raises FrameRefused (contract_error) on anything but a result of this version."""
    fields = _unpack_map(data, MAX_RESULT_BYTES, max_items=100_000)
    _check_version(fields)
    _camera(fields)
    for name in ("epoch", "seq", "pts_us", "captured_at_us", "completed_at_us"):
        _integer(fields, name)
    for name in ("source", "worker"):
        _text(fields, name)
    _clock(fields)
    _size(fields, "width", "height")
    _region(fields, *_size(fields, "source_width", "source_height"))
    _faces(fields)
    if not (_is_map_of(str, fields.get("models")) and _is_map_of((int, float), fields.get("timings_ms"))):
        raise _broken("'models' or 'timings_ms' is not a map of its kind")
    return cast(ResultMap, fields)


def pack_reject(reject: RejectMap) -> bytes:
    return _pack(reject)


def unpack_reject(data: bytes) -> RejectMap:
    """Raises FrameRefused (contract_error) on anything but a reject of this version."""
    fields = _unpack_map(data, MAX_REJECT_BYTES, max_items=64)
    _check_version(fields)
    for name in ("camera", "reason", "error", "entry", "worker"):
        _text(fields, name)
    for name in ("attempts", "refused_at_us"):
        _integer(fields, name)
    for name in ("epoch", "seq"):
        if name in fields:
            _integer(fields, name)
    return cast(RejectMap, fields)


def _broken(what: str) -> FrameRefused:
    return FrameRefused(DropReason.CONTRACT_ERROR, what)


def _pack(fields: Mapping[str, Any], *, single_floats: bool = False) -> bytes:
    # A file's name need not be Unicode: what cannot be encoded becomes a question mark.
    return cast(bytes, msgpack.packb(fields, unicode_errors="replace", use_single_float=single_floats))


def _unpack_map(data: bytes, max_bytes: int, max_items: int) -> dict[str, Any]:
    if len(data) > max_bytes:
        raise _broken(f"{len(data)} bytes where at most {max_bytes} are allowed")
    try:
        fields = msgpack.unpackb(
            data,
            max_str_len=_MAX_TEXT,
            max_bin_len=0,
            max_ext_len=0,
            max_array_len=max_items,
            max_map_len=max_items,
        )
    except Exception as error:
        # msgpack raises a dozen kinds, builtins among them, on hostile bytes; all mean the same here.
        raise _broken(f"not msgpack within bounds ({type(error).__name__})") from None
    if not isinstance(fields, dict):
        raise _broken(f"a msgpack {type(fields).__name__} where a map is expected")
    return fields


def _header_from(fields: Mapping[str, Any]) -> FrameHeader:
    _check_version(fields)
    width, height = _size(fields, "width", "height")
    source_width, source_height = _size(fields, "source_width", "source_height")
    return FrameHeader(
        camera=_camera(fields),
        source=_text(fields, "source"),
        epoch=_integer(fields, "epoch"),
        seq=_integer(fields, "seq"),
        pts_us=_integer(fields, "pts_us"),
        captured_at_us=_integer(fields, "captured_at_us"),
        clock=_clock(fields),
        width=width,
        height=height,
        source_width=source_width,
        source_height=source_height,
        region=_region(fields, source_width, source_height),
        held_us=_integer(fields, "held_us"),
        max_age_ms=None if fields.get("max_age_ms") is None else _integer(fields, "max_age_ms"),
        attributes=_attributes(fields),
        codec=_text(fields, "codec"),
        zone=_zone(fields),
    )


def _check_version(fields: Mapping[str, Any]) -> None:
    version = fields.get("v")
    if type(version) is not int or version < 1:
        raise _broken("no schema version 'v'")
    if version > VERSION:
        raise _broken(f"schema version {version} is from the future, this one reads {VERSION}: upgrade")


def _camera(fields: Mapping[str, Any]) -> str:
    camera = fields.get("camera")
    if not is_camera_name(camera):
        raise _broken("'camera' is not a valid camera name")
    return cast(str, camera)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise _broken(f"'{name}' is not text")
    return value


def _clock(fields: Mapping[str, Any]) -> Clock:
    clock = fields.get("clock")
    if not isinstance(clock, str) or clock not in CLOCKS:
        raise _broken("'clock' is none of receipt, sender, file")
    return cast(Clock, clock)


def _integer(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= _MAX_INTEGER:
        raise _broken(f"'{name}' is not a whole number from 0 to 2^53")
    return value


def _size(fields: Mapping[str, Any], width_name: str, height_name: str) -> tuple[int, int]:
    width, height = _integer(fields, width_name), _integer(fields, height_name)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise _broken(f"{width_name} x {height_name} of {width} x {height} is out of bounds")
    return width, height


def _region(fields: Mapping[str, Any], width: int, height: int) -> tuple[int, int, int, int]:
    region = fields.get("region")
    if (
        isinstance(region, Sequence)
        and len(region) == 4
        and all(type(number) is int and number >= 0 for number in region)
        and region[0] + region[2] <= width
        and region[1] + region[3] <= height
    ):
        x, y, w, h = region
        return x, y, w, h
    raise _broken("'region' is not [x, y, w, h] inside the source picture")


def _faces(fields: Mapping[str, Any]) -> None:
    faces = fields.get("faces")
    if not isinstance(faces, list) or not all(_is_face(face) for face in faces):
        raise _broken("'faces' is not a list of faces")


def _is_face(face: Any) -> bool:
    if not isinstance(face, dict):
        return False
    landmarks = face.get("landmarks")
    return (
        _are_numbers(face.get("box"), 4)
        and _are_numbers([face.get("score")], 1)
        and isinstance(landmarks, list)
        and len(landmarks) == 5
        and all(_are_numbers(point, 2) for point in landmarks)
        and _is_map_of(dict, face.get("attributes"))
    )


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and math.isfinite(value) for value in values)
    )


def _is_map_of(kind: type | tuple[type, ...], values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, kind) for value in values.values())


def _attributes(fields: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = fields.get("attributes")
    if names is None:
        return None
    if isinstance(names, list) and len(names) <= 16 and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise _broken("'attributes' is not a list of at most 16 names")


def _zone(fields: Mapping[str, Any]) -> Zone | None:
    zone = fields.get("zone")
    try:
        return None if zone is None else read_zone(zone)
    except UsageError as error:
        raise _broken(f"'zone': {error}") from None
