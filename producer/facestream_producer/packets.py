"""The name of a video stream's packets: PyAV's class takes a parameter only where types are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from av.packet import Packet

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    VideoPacket: TypeAlias = Packet[VideoStream]
else:
    VideoPacket = Packet
