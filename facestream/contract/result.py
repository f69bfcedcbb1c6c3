"""The result every frame ends as, and the reject it may end as instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

from facestream.contract.fields import (
    MAX_REJECT_BYTES,
    MAX_RESULT_BYTES,
    VERSION,
    are_numbers,
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
from facestream.contract.header import FrameHeader


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
    return pack(result)


def unpack_result(data: bytes) -> ResultMap:
    """Raises FrameRefused (contract_error) on anything but a result of this version."""
    fields = unpack_map(data, MAX_RESULT_BYTES, max_items=100_000)
    check_version(fields)
    read_camera(fields)
    for name in ("epoch", "seq", "pts_us", "captured_at_us", "completed_at_us"):
        read_integer(fields, name)
    for name in ("source", "worker"):
        read_text(fields, name)
    read_clock(fields)
    read_size(fields, "width", "height")
    read_region(fields, *read_size(fields, "source_width", "source_height"))
    _faces(fields)
    if not (_is_map_of(str, fields.get("models")) and _is_map_of((int, float), fields.get("timings_ms"))):
        raise broken("'models' or 'timings_ms' is not a map of its kind")
    return cast(ResultMap, fields)


def pack_reject(reject: RejectMap) -> bytes:
    return pack(reject)


def unpack_reject(data: bytes) -> RejectMap:
    """Raises FrameRefused (contract_error) on anything but a reject of this version."""
    fields = unpack_map(data, MAX_REJECT_BYTES, max_items=64)
    check_version(fields)
    for name in ("camera", "reason", "error", "entry", "worker"):
        read_text(fields, name)
    for name in ("attempts", "refused_at_us"):
        read_integer(fields, name)
    for name in ("epoch", "seq"):
        if name in fields:
            read_integer(fields, name)
    return cast(RejectMap, fields)


def _faces(fields: Mapping[str, Any]) -> None:
    faces = fields.get("faces")
    if not isinstance(faces, list) or not all(_is_face(face) for face in faces):
        raise broken("'faces' is not a list of faces")


def _is_face(face: Any) -> bool:
    """Checked for every face that is read, so by few and cheap steps: all its numbers at once at the end."""
    if type(face) is not dict:
        return False
    box, points, attributes = face.get("box"), face.get("landmarks"), face.get("attributes")
    if not (type(box) is type(points) is list and len(box) == 4 and len(points) == 5):
        return False
    numbers = [face.get("score"), *box]
    for point in points:
        if type(point) is not list or len(point) != 2:
            return False
        numbers += point
    if not isinstance(attributes, dict) or not _are_answers(attributes, numbers):
        return False
    return are_numbers(numbers, len(numbers))


def _are_answers(attributes: Mapping[str, Any], numbers: list[Any]) -> bool:
    """Whether each is a map, with what the contract promises of it; what must be numbers is added to them."""
    for role, answer in attributes.items():
        if type(answer) is not dict:
            return False
        if role == "gender":
            if type(answer.get("label")) is not str:
                return False
            numbers.append(answer.get("score"))
        elif role == "age":
            numbers.append(answer.get("score"))
            if answer.get("years", "absent") is not None:
                numbers.append(answer.get("years"))
    return True


def _is_map_of(kind: type | tuple[type, ...], values: Any) -> bool:
    # True is a whole number to Python, and to nobody else.
    return isinstance(values, dict) and all(
        isinstance(value, kind) and value is not True and value is not False for value in values.values()
    )
