"""A registered camera becomes a source, by what its address names."""

from __future__ import annotations

import threading
from collections.abc import Callable

from facestream.bus.camera_entry import Camera
from facestream.camera_state import CameraState, State
from facestream.camera_url import NETWORK_SCHEMES, CameraUrl
from facestream.errors import UsageError
from facestream_producer.live import LiveSource
from facestream_producer.motion import MotionGate
from facestream_producer.source import Source


def open_camera(
    camera: Camera, url: CameraUrl, say_state: Callable[[State, str | None], None], stop: threading.Event
) -> Source:
    """A camera's source, not yet connected. Raises FacestreamError for what cannot be attached."""
    settings = camera.settings

    def on_state(state: CameraState) -> None:
        say_state(state.state, state.error)

    motion = MotionGate(max_gap_seconds=settings.max_gap_ms / 1000) if settings.motion_gate else None
    if url.scheme in NETWORK_SCHEMES:
        return LiveSource(
            camera.name,
            url,
            fps=settings.fps,
            transport=settings.transport,
            stall_seconds=settings.stall_timeout_ms / 1000,
            motion=motion,
            on_state=on_state,
            stop=stop,
        )
    raise UsageError(f"{url.scheme} cannot be attached")
