"""What travels: the header beside every published frame, and the result every frame ends as.

Both are msgpack maps with string keys and a schema version `v`; docs/contract.md describes them
for other languages. Fields are only ever added within a version, and a reader ignores what it
does not know. Whatever comes from the broker is bounded before it is believed.
"""

from __future__ import annotations

from facestream.contract.fields import (
    CLOCKS,
    MAX_HEADER_BYTES,
    MAX_IMAGE_BYTES,
    MAX_PIXELS,
    MAX_REJECT_BYTES,
    MAX_RESULT_BYTES,
    MAX_SIDE,
    VERSION,
    Clock,
)
from facestream.contract.header import FrameHeader
from facestream.contract.reasons import DropReason, SourceDrop
from facestream.contract.result import (
    FaceMap,
    LabelMap,
    RejectMap,
    ResultMap,
    YearsMap,
    describe_result,
    pack_reject,
    pack_result,
    unpack_reject,
    unpack_result,
)

__all__ = [
    "CLOCKS",
    "MAX_HEADER_BYTES",
    "MAX_IMAGE_BYTES",
    "MAX_PIXELS",
    "MAX_REJECT_BYTES",
    "MAX_RESULT_BYTES",
    "MAX_SIDE",
    "VERSION",
    "Clock",
    "DropReason",
    "FaceMap",
    "FrameHeader",
    "LabelMap",
    "RejectMap",
    "ResultMap",
    "SourceDrop",
    "YearsMap",
    "describe_result",
    "pack_reject",
    "pack_result",
    "unpack_reject",
    "unpack_result",
]
