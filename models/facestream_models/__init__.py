"""Pre-trained networks behind one call: `Analyser()(image)` finds and describes faces."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facestream_models.analyser import Analyser
    from facestream_models.faces import Estimates, Faces, Labels

# ONNX Runtime reports to its makers unless told not to before it is loaded. Nothing leaves this machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Analyser", "Estimates", "Faces", "Labels"]


def __getattr__(name: str) -> object:
    # Lazy, so that the command line can list its commands without loading OpenCV.
    if name == "Analyser":
        from facestream_models.analyser import Analyser

        return Analyser
    if name in __all__:
        from facestream_models import faces

        return getattr(faces, name)
    raise AttributeError(name)
