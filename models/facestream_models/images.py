"""Reading one picture file safely: every common kind, upright, in BGR, or one line that says what to do."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facestream.errors import ImageError, SourceMissing
from facestream_models.image_decoders import decode
from facestream_models.image_header import MAX_PIXELS, MAX_SIDE, read_header

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "IMAGE_SUFFIXES",
    "decode_image",
    "list_images",
    "read_image",
]

Image = NDArray[np.uint8]

MAX_FILE_BYTES = 256 << 20
# HEIC is listed although it is refused: a photograph left out in silence would be worse than a line about it.
IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib"]
    + [".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"]
)


def read_image(path: Path) -> Image:
    """The picture in a file, turned as EXIF asks: (h, w, 3) uint8, BGR.

    Kinds are told by content, not by name: JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF; of several frames or
    pages the first. Transparent pixels are laid on white, 16 bits a sample are scaled to 8, colour profiles
    are ignored. Raises SourceMissing where there is no such file, ImageError where it cannot be trusted.
    """
    return decode_image(_bytes_of(path), shown(path))


def decode_image(data: bytes, name: str) -> Image:
    """The same for encoded bytes already in memory; `name` begins the message of an ImageError."""
    if not data:
        raise ImageError(f"{name} is empty; copy or download it again")
    try:
        header = read_header(data)
        return _upright(_on_white(decode(data, header)), header.orientation)
    except ImageError as error:
        raise ImageError(f"{name} {error}") from error
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is; scale it down first") from error


def list_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The pictures in a folder by their names' endings, `2.jpg` before `10.jpg`; hidden files are left out.

    Raises SourceMissing where there is no such folder, ImageError where it may not be listed.
    """
    try:
        found = [path for path in (_walk(folder) if recursive else folder.iterdir()) if _is_picture(path)]
    except OSError as error:
        raise _refusal(folder, error) from error
    return sorted(found, key=_natural)


def shown(path: Path) -> str:
    """A path as it may be printed: on one line, in characters every terminal's encoding has a place for."""
    return "".join(character if character.isprintable() else "?" for character in str(path))


def _bytes_of(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise ImageError(f"{shown(path)} is {what}, not a picture; give a picture file")
        if status.st_size > MAX_FILE_BYTES:
            raise ImageError(
                f"{shown(path)} is {status.st_size >> 20} MiB; at most {MAX_FILE_BYTES >> 20} MiB are read: "
                "scale it down first"
            )
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError | ValueError) -> ImageError | SourceMissing:
    name = shown(path)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceMissing(f"{name} does not exist; check the path")
    if isinstance(error, PermissionError):
        return ImageError(
            f"{name} may not be read; give yourself the permission (chmod u+r) or run as its owner"
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ImageError(f"{name} cannot be read ({reason}); check the path and the disk")


def _walk(folder: Path) -> list[Path]:
    def stop(error: OSError) -> None:
        raise error

    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files]
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    return [
        [
            (int(piece), "") if piece.isdecimal() and piece.isascii() else (-1, piece)
            for piece in re.split(r"([0-9]+)", part.lower())
        ]
        for part in path.parts
    ] + [[(-1, str(path))]]


def _on_white(pixels: Image) -> Image:
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    laid = pixels[..., :3].astype(np.uint16) * alpha + 255 * (255 - alpha) + 127
    return (laid // 255).astype(np.uint8)


def _upright(pixels: Image, orientation: int) -> Image:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
