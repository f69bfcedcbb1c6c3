"""Which packets may be thrown away before decoding because no other picture is made from theirs."""

from __future__ import annotations

from facestream_producer.packets import VideoPacket

_START_CODE = b"\x00\x00\x01"
# Parameter sets and the like come before a picture's first slice; those of a droppable one are short.
_SEARCHED_BYTES = 192
_SLICE = 1


def is_droppable(packet: VideoPacket, codec: str) -> bool:
    """True only when it is certain: the container says so, or it is H.264 and `nal_ref_idc` is 0.

    In HEVC a picture of a lower sublayer that is no reference there may still be one above; not looked at.
    """
    if packet.is_keyframe:
        return False
    return packet.is_disposable or (
        codec == "h264" and _is_unreferenced(bytes(memoryview(packet)[:_SEARCHED_BYTES]))
    )


def _is_unreferenced(head: bytes) -> bool:
    """Whether the first slice in these Annex B bytes says that nothing refers to its picture."""
    at = head.find(_START_CODE)
    if at not in (0, 1):
        return False  # length prefixes, as in MP4 and FLV, or damage
    while 0 <= at < len(head) - 3:
        unit = head[at + 3]
        if unit & 0x1F == _SLICE:
            return unit & 0xE0 == 0
        if unit & 0x1F in (2, 3, 4, 5):
            return False
        at = head.find(_START_CODE, at + 3)
    return False
