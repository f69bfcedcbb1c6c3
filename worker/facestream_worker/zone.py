"""Which faces lie in the zone that a frame's header asks for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from facestream.contract import FrameHeader
from facestream_models import Faces


def in_zone(header: FrameHeader) -> Callable[[Faces], NDArray[np.bool_]] | None:
    """Says of faces in the encoded picture whether their boxes' centres are in the zone; None for no zone."""
    zone = header.zone
    if zone is None:
        return None
    left, top, width, height = header.region

    def choose(faces: Faces) -> NDArray[np.bool_]:
        # From pixels of the encoded picture through those of the source to fractions of it.
        scale = np.array([width / header.width, height / header.height])
        centres = (faces.boxes[:, :2] + faces.boxes[:, 2:] / 2) * scale + (left, top)
        points = (centres / (header.source_width, header.source_height)).tolist()
        return np.array([zone.covers(x, y) for x, y in points], np.bool_)

    return choose
