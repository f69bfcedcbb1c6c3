"""A registered camera becomes a source, by what its address names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facestream.address_policy import AddressPolicy
from facestream.bus.camera_entry import Camera
from facestream.camera_state import CameraState, State
from facestream.camera_url import NETWORK_SCHEMES, CameraUrl
from facestream_producer.device import DeviceSource
from facestream_producer.hardware import choose
from facestream_producer.live import LiveSource
from facestream_producer.motion import MotionGate
from facestream_producer.opening import open_source
from facestream_producer.paced import Paced
from facestream_producer.pacing import RealTime
from facestream_producer.played import PlayedFile
from facestream_producer.recorded import is_recording
from facestream_producer.source import Source

# A camera on which nothing moves is silent for so long.
RECORDED_GAP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Play:
    """How a file stands in for a camera: at most `fps` frames a second, over and over if `loop`.

    speed: of a recording, against the pace at which it was recorded.
    """

    fps: float | None
    loop: bool
    speed: float = 1.0


def open_camera(
    camera: Camera,
    url: CameraUrl,
    policy: AddressPolicy,
    say_state: Callable[[State, str | None], None],
    stop: threading.Event,
    say: Callable[[str], None] = lambda line: None,
) -> Source:
    """A camera's source, not yet connected; a file or the demo scene plays at its own pace, over and over.

    say: told in a line what is otherwise than its settings ask for.
    Raises FacestreamError for what cannot be attached.
    """
    settings = camera.settings

    def on_state(state: CameraState) -> None:
        say_state(state.state, state.error)

    motion = None
    if settings.motion_gate:
        motion = MotionGate(max_gap_seconds=settings.max_gap_ms / 1000, zone=settings.zone)
    if url.scheme in NETWORK_SCHEMES:
        decoder = choose(settings.decode)
        if decoder.note:
            say(f"{camera.name}: {decoder.note}")
        return LiveSource(
            camera.name,
            url,
            policy=policy,
            fps=settings.fps,
            transport=settings.transport,
            stall_seconds=settings.stall_timeout_ms / 1000,
            motion=motion,
            device=decoder.device,
            on_state=on_state,
            stop=stop,
        )
    if url.scheme == "device":
        return DeviceSource(url.reveal())
    if url.path is not None and is_recording(str(url.path)):
        return _played_recording(camera.name, open_source(str(url.path)), Play(settings.fps, loop=True), stop)
    if url.path is not None:
        return PlayedFile(url.path, fps=settings.fps, loop=True, motion=motion, stop=stop)
    return Paced(camera.name, open_source(url.reveal()), fps=settings.fps, loop=True, stop=stop)


def play(text: str, play: Play, stop: threading.Event) -> Source:
    """A file, folder or the demo scene at its own pace, as if it were a camera."""
    source = open_source(text)
    if source.kind == "file":
        source.close()
        return PlayedFile(Path(text), fps=play.fps, loop=play.loop, stop=stop)
    if source.kind == "recording":
        return _played_recording(source.name, source, play, stop)
    return Paced(source.name, source, fps=play.fps, loop=play.loop, stop=stop)


def _played_recording(name: str, source: Source, play: Play, stop: threading.Event) -> Source:
    pace = RealTime(play.speed, RECORDED_GAP_SECONDS)
    return Paced(name, source, fps=play.fps, loop=play.loop, stop=stop, pace=pace)
