"""Pre-trained networks behind one call: `Analyser()(image)` finds and describes faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facestream_models.analyser import Analyser
    from facestream_models.faces import Estimates, Faces, Labels

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
