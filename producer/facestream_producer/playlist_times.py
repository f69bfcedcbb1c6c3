"""The sender's own wall clock, where an HLS playlist tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

from facestream_producer.packets import VideoPacket
from facestream_producer.source import MICROSECONDS

_DATE = "#EXT-X-PROGRAM-DATE-TIME:"
_LENGTH = "#EXTINF:"
_BEGIN = datetime.fromtimestamp(0, UTC)
_LONGEST_SECONDS = 3600


def segment_times(address: str, playlist: bytes) -> dict[str, int]:
    """When each segment begins, by its address, in µs since 1970; none where the playlist does not say so.

    A date holds for the segment that follows; those after it begin as much later as they are long. An
    address that stands for several parts has no time.
    """
    times: dict[str, int] = {}
    several: set[str] = set()
    at_us: int | None = None
    length_us = 0
    for line in playlist.decode(errors="replace").splitlines():
        if line.startswith(_DATE):
            at_us = _date_us(line.removeprefix(_DATE))
        elif line.startswith(_LENGTH):
            length_us = _length_us(line.removeprefix(_LENGTH))
        elif line and not line.startswith("#"):
            segment = urljoin(address, line.strip())
            several |= times.keys() & {segment}
            if at_us is not None:
                times[segment] = at_us
                at_us += length_us
    return {segment: time for segment, time in times.items() if segment not in several}


class SegmentClock:
    """Says when pictures were taken, from when their segments begin.

    `segment`: to be given the time of each segment that is read, None where it is not known; `packet`: each
    packet as it comes.
    """

    def __init__(self) -> None:
        self._begins_us: int | None = None
        self._shift_us: int | None = None

    def segment(self, begins_us: int | None) -> None:
        self._begins_us = begins_us
        if begins_us is None:
            self._shift_us = None

    def packet(self, packet: VideoPacket) -> None:
        # A segment begins with a whole picture; before that may come the last one of the segment before.
        own_us = _own_us(packet)
        if self._begins_us is not None and own_us is not None and packet.is_keyframe:
            self._shift_us, self._begins_us = self._begins_us - own_us, None

    def sender_us(self, packet: VideoPacket) -> int | None:
        own_us = _own_us(packet)
        return None if own_us is None or self._shift_us is None else own_us + self._shift_us


def _own_us(packet: VideoPacket) -> int | None:
    if packet.pts is None or not packet.time_base:
        return None
    return packet.pts * packet.time_base.numerator * MICROSECONDS // packet.time_base.denominator


def _date_us(text: str) -> int | None:
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return None if date.tzinfo is None else (date - _BEGIN) // timedelta(microseconds=1)


def _length_us(text: str) -> int:
    try:
        seconds = float(text.partition(",")[0])
    except ValueError:
        return 0
    return round(seconds * MICROSECONDS) if 0 <= seconds <= _LONGEST_SECONDS else 0
