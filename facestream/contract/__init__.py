"""What travels: the header beside every published frame, the result every frame ends as, and what the
tracker makes of results.

All are msgpack maps with string keys and a schema version `v`; docs/contract.md describes them
for other languages. Fields are only ever added within a version, and a reader ignores what it
does not know. Whatever comes from the broker is bounded before it is believed.
"""

from __future__ import annotations

from facestream.contract.audience import (
    MAX_AUDIENCE_BYTES,
    MINUTE_US,
    AudienceMap,
    PassagesMap,
    PresentMap,
    pack_audience,
    unpack_audience,
)
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
from facestream.contract.track import (
    MAX_TRACK_BYTES,
    TrackMap,
    pack_track,
    unpack_track,
)

__all__ = [
    "CLOCKS",
    "MAX_AUDIENCE_BYTES",
    "MAX_HEADER_BYTES",
    "MAX_IMAGE_BYTES",
    "MAX_PIXELS",
    "MAX_REJECT_BYTES",
    "MAX_RESULT_BYTES",
    "MAX_SIDE",
    "MAX_TRACK_BYTES",
    "MINUTE_US",
    "VERSION",
    "AudienceMap",
    "Clock",
    "DropReason",
    "FaceMap",
    "FrameHeader",
    "LabelMap",
    "PassagesMap",
    "PresentMap",
    "RejectMap",
    "ResultMap",
    "SourceDrop",
    "TrackMap",
    "YearsMap",
    "describe_result",
    "pack_audience",
    "pack_reject",
    "pack_result",
    "pack_track",
    "unpack_audience",
    "unpack_reject",
    "unpack_result",
    "unpack_track",
]
