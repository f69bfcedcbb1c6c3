"""Pictures with their faces drawn, written beside nothing they could overwrite."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facestream.contract import FaceMap
from facestream.errors import ImageError, UsageError
from facestream_models.images import Image, shown

# Kinds that lose nothing stay so; the others become JPEG.
_LOSSLESS = frozenset([".png", ".apng", ".bmp", ".dib", ".gif", ".tif", ".tiff"])
_JPEG_QUALITY = 92


class AnnotatedFolder:
    """A folder that receives `photo.annotated.jpg` for `photo.jpg`, `-2` added where two would collide.

    Made at once; raises UsageError where it cannot be. Never writes over one of `inputs`; what an earlier
    run wrote is replaced.
    """

    def __init__(self, folder: Path, inputs: Iterable[Path]) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self._taken = {_key(path) for path in inputs}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise UsageError(f"--annotate {shown(folder)} cannot be made a folder: {reason}") from None

    def write(self, source: Path, image: Image, faces: list[FaceMap]) -> Path:
        """Draw and write one picture, at once and whole; ImageError where the disk refuses it."""
        import cv2

        from facestream_models.drawing import draw_faces
        from facestream_models.files import replacing

        target = self._target(source)
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if target.suffix == ".jpg" else []
        try:
            _, encoded = cv2.imencode(target.suffix, draw_faces(image, faces), options)
            with replacing(target) as file:
                file.write(encoded.tobytes())
        except (OSError, cv2.error) as error:
            reason = error.strerror if isinstance(error, OSError) else "it cannot be encoded"
            raise ImageError(
                f"{shown(target)} could not be written: {reason}; make room or name another folder"
            ) from None
        self.written.append(target)
        return target

    def _target(self, source: Path) -> Path:
        suffix = ".png" if source.suffix.lower() in _LOSSLESS else ".jpg"
        number = 1
        while True:
            ending = "" if number == 1 else f"-{number}"
            target = self.folder / f"{source.stem}.annotated{ending}{suffix}"
            if _key(target) not in self._taken:
                self._taken.add(_key(target))
                return target
            number += 1


def _key(path: Path) -> str:
    # Many file systems take `A.png` and `a.png` for one.
    return str(path.resolve()).casefold()
