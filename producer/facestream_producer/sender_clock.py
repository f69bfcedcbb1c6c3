"""The sender's own wall clock, where a stream tells it."""

from __future__ import annotations

import struct

from facestream_producer.packets import VideoPacket
from facestream_producer.source import MICROSECONDS

# Further off than a day is a clock that was never set, and says nothing.
_PLAUSIBLE_US = 86_400 * MICROSECONDS


def sender_us(packet: VideoPacket, received_us: int) -> int | None:
    """When the sender took the packet's picture, in µs since 1970; None where it does not say so credibly.

    RTSP says it from the first RTCP sender report on, which comes some seconds after the first picture.
    """
    if not packet.has_sidedata("prft"):
        return None
    data = bytes(packet.get_sidedata("prft"))
    if len(data) < 8:
        return None
    (wall_us,) = struct.unpack_from("<q", data)
    return int(wall_us) if is_plausible(wall_us, received_us) else None


def is_plausible(wall_us: int, received_us: int) -> bool:
    """Whether a sender's clock can be believed that says so of what was received then."""
    return wall_us > 0 and abs(wall_us - received_us) < _PLAUSIBLE_US
