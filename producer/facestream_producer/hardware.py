"""Decoding by a device made for it, where this FFmpeg and this machine offer one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

import av
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

SOFTWARE: Final = "software"
AUTO: Final = "auto"
_TRIED_WITH: Final = "h264"


class Decoder(NamedTuple):
    """device: None for the processor. note: why it is the processor, where something else was wanted."""

    device: HWAccel | None
    note: str | None = None


@cache
def offered() -> Mapping[str, str | None]:
    """The kinds of device by which this FFmpeg decodes H.264: None where one is here, else why it is not.

    Each is tried once a process.
    """
    configs = av.Codec(_TRIED_WITH, "r").hardware_configs
    kinds = [config.device_type.name for config in configs if config.is_supported]
    return {kind: _trouble(kind) for kind in kinds}


def choose(wanted: str) -> Decoder:
    """What a camera's `decode` setting leads to on this machine; what it cannot have, the processor does."""
    if wanted == SOFTWARE:
        return Decoder(None)
    here = [kind for kind, trouble in offered().items() if trouble is None]
    if wanted == AUTO and here:
        return Decoder(HWAccel(here[0]))
    if wanted in here:
        return Decoder(HWAccel(wanted))
    if wanted == AUTO:
        why = "no device here decodes video"
    elif wanted in offered():
        why = f"no {wanted} device answers here ({offered()[wanted]})"
    else:
        why = f"this FFmpeg offers {', '.join(offered()) or 'no device'}"
    return Decoder(None, f"decode={wanted}: {why}; the processor decodes")


def _trouble(kind: str) -> str | None:
    try:
        HWAccel(kind).create(av.Codec(_TRIED_WITH, "r"))
    except (FFmpegError, NotImplementedError, RuntimeError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error).lower()
    return None
