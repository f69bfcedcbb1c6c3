"""Which packets may be thrown away before decoding because no other picture is made from theirs."""

from __future__ import annotations

from av.video.codeccontext import VideoCodecContext

from facestream_producer.packets import VideoPacket

_START_CODE = b"\x00\x00\x01"
# Parameter sets and the like come before a picture's first slice; those of a droppable one are short.
_SEARCHED_BYTES = 192
_SLICE = 1
_OTHER_SLICES = (2, 3, 4, 5)


class Droppable:
    """Tells whether a packet of this stream may be dropped; True only when it is certain.

    Certain means that the container says so, or that it is H.264 and the slice's `nal_ref_idc` is 0. In
    HEVC a picture that is no reference in its own sublayer may still be one above: that is not looked at.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        self._is_h264 = context.name == "h264"
        extra = bytes(context.extradata or b"")
        # MP4 and FLV put lengths before the units, of so many bytes; streams put start codes.
        self._length_bytes = (extra[4] & 3) + 1 if len(extra) > 4 and extra[0] == 1 else 0

    def __call__(self, packet: VideoPacket) -> bool:
        if packet.is_keyframe:
            return False
        if packet.is_disposable or not self._is_h264:
            return packet.is_disposable
        head = bytes(memoryview(packet)[:_SEARCHED_BYTES])
        unit = self._first_slice_by_length(head) if self._length_bytes else _first_slice_by_code(head)
        return unit is not None and unit & 0xE0 == 0

    def _first_slice_by_length(self, head: bytes) -> int | None:
        at = 0
        while at + self._length_bytes < len(head):
            start = at + self._length_bytes
            if head[start] & 0x1F == _SLICE:
                return head[start]
            if head[start] & 0x1F in _OTHER_SLICES:
                return None
            at = start + int.from_bytes(head[at:start], "big")
        return None


def _first_slice_by_code(head: bytes) -> int | None:
    """The first slice's first byte, None where there is none or it is none that can be told."""
    at = head.find(_START_CODE)
    if at not in (0, 1):
        return None
    while 0 <= at < len(head) - 3:
        unit = head[at + 3]
        if unit & 0x1F == _SLICE:
            return unit
        if unit & 0x1F in _OTHER_SLICES:
            return None
        at = head.find(_START_CODE, at + 3)
    return None
