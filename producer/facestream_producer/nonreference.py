"""Which packets may be thrown away before decoding because no other picture is made from theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from av.video.codeccontext import VideoCodecContext

from facestream_producer.packets import VideoPacket

_START_CODE = b"\x00\x00\x01"
# Parameter sets and the like come before a picture's first slice; those of a droppable one are short.
_SEARCHED_BYTES = 192
# A whole picture brings parameter sets, and whatever its encoder has to say of itself.
_SEARCHED_BYTES_OF_WHOLE = 4096
_H264_SLICE = 1
_H264_SLICES = (1, 2, 3, 4, 5)
_HEVC_LAST_ORDINARY = 15
_HEVC_LAST_SLICE = 31
_HEVC_SPS = 33
# Where an MP4's description of an HEVC stream tells its parameter sets.
_RECORD_ARRAYS = 22


class Droppable:
    """Tells whether a packet of this stream may be dropped; True only when it is certain.

    Certain means that the container says so, that it is H.264 and the slice's `nal_ref_idc` is 0, or that
    it is HEVC, the picture is none its own sublayer refers to, and there is no sublayer above.
    `note` is to be given every whole picture, decoded or not.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        rules: dict[str, Callable[[bytes], bool]] = {"h264": self._h264, "hevc": self._hevc}
        self._rule = rules.get(context.name)
        self._is_hevc = context.name == "hevc"
        # The highest sublayer that HEVC's parameter sets speak of; None: they were not seen yet.
        self._top: int | None = None
        extra = bytes(context.extradata or b"")
        # MP4 and FLV put lengths before the units, of so many bytes; streams put start codes.
        at = 21 if self._is_hevc else 4
        self._length_bytes = (extra[at] & 3) + 1 if len(extra) > at and extra[0] == 1 else 0
        if self._is_hevc:
            self._note_top(_units_of_record(extra) if self._length_bytes else _units_by_code(extra))

    def note(self, packet: VideoPacket) -> None:
        """Learn from a whole picture what its parameter sets say."""
        if self._is_hevc:
            self._note_top(self._units(packet, _SEARCHED_BYTES_OF_WHOLE))

    def __call__(self, packet: VideoPacket) -> bool:
        if packet.is_keyframe:
            return False
        if packet.is_disposable or self._rule is None:
            return packet.is_disposable
        is_slice = _is_hevc_slice if self._is_hevc else _is_h264_slice
        first = next(filter(is_slice, self._units(packet, _SEARCHED_BYTES)), None)
        return first is not None and self._rule(first)

    def _h264(self, unit: bytes) -> bool:
        return unit[0] & 0x1F == _H264_SLICE and unit[0] & 0xE0 == 0

    def _hevc(self, unit: bytes) -> bool:
        kind, sublayer = _hevc_kind(unit), (unit[1] & 7) - 1
        layer = (unit[0] & 1) << 5 | unit[1] >> 3
        # Of the ordinary kinds the even ones are no reference in their own sublayer.
        return kind <= _HEVC_LAST_ORDINARY and kind % 2 == 0 and layer == 0 and sublayer == self._top

    def _note_top(self, units: Iterator[bytes]) -> None:
        for unit in units:
            if len(unit) > 2 and _hevc_kind(unit) == _HEVC_SPS:
                self._top = max(self._top or 0, unit[2] >> 1 & 7)

    def _units(self, packet: VideoPacket, searched: int) -> Iterator[bytes]:
        """The first bytes of the units at the packet's beginning."""
        head = bytes(memoryview(packet)[:searched])
        return _units_by_length(head, self._length_bytes) if self._length_bytes else _units_by_code(head)


def _is_h264_slice(unit: bytes) -> bool:
    return unit[0] & 0x1F in _H264_SLICES


def _is_hevc_slice(unit: bytes) -> bool:
    return len(unit) > 1 and _hevc_kind(unit) <= _HEVC_LAST_SLICE


def _hevc_kind(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F


def _units_by_length(head: bytes, length_bytes: int) -> Iterator[bytes]:
    at = 0
    while at + length_bytes < len(head):
        start = at + length_bytes
        yield head[start : start + 3]
        at = start + int.from_bytes(head[at:start], "big")


def _units_by_code(head: bytes) -> Iterator[bytes]:
    """None where it begins otherwise: that is the rest of a picture whose beginning was lost."""
    at = head.find(_START_CODE)
    if at not in (0, 1):
        return
    while 0 <= at < len(head) - 3:
        yield head[at + 3 : at + 6]
        at = head.find(_START_CODE, at + 3)


def _units_of_record(record: bytes) -> Iterator[bytes]:
    at = _RECORD_ARRAYS + 1
    for _ in range(record[_RECORD_ARRAYS] if len(record) > _RECORD_ARRAYS else 0):
        count, at = int.from_bytes(record[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            start = at + 2
            if start >= len(record):
                return
            yield record[start : start + 3]
            at = start + int.from_bytes(record[at:start], "big")
