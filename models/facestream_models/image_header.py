"""What a picture's first bytes say of it, read in a bounded way and before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from facestream.errors import ImageError
from facestream_models.avif import read_avif
from facestream_models.damaged import Damaged
from facestream_models.png import png_chunks
from facestream_models.tiff import UPRIGHT, Directory, exif_orientation
from facestream_models.webp import read_webp

MAX_SIDE = 30_000
MAX_PIXELS = 100_000_000
KINDS = "JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF"

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}
# Start-of-frame markers: C0 to CF, less the tables and the reserved one that lie between them.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_MAX_PARTS = 1_000_000
_MAX_EXTENSIONS = 1_000
_ELSEWHERE = (
    (b"%PDF", "is a PDF, not a picture; export its pages as PNG first"),
    (b"\xff\x0a", "is JPEG XL, which is not read here; convert it to JPEG or PNG first"),
    (b"\0\0\0\x0cJXL ", "is JPEG XL, which is not read here; convert it to JPEG or PNG first"),
    (b"\0\0\0\x0cjP  ", "is JPEG 2000, which is not read here; convert it to JPEG or PNG first"),
    (b"8BPS", "is a Photoshop document; export it as JPEG or PNG first"),
    (b"\x1aE\xdf\xa3", "is a video, not a picture; try: facestream run FILE"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """A picture's kind (`jpeg`, `png`, …), its stored size in pixels and its EXIF orientation (1 to 8)."""

    kind: str
    width: int
    height: int
    orientation: int = UPRIGHT

    def check_size(self) -> None:
        """ImageError where it is larger than any photograph, Damaged where there is nothing in it."""
        if not (self.width and self.height):
            raise Damaged
        if max(self.width, self.height) > MAX_SIDE or self.width * self.height > MAX_PIXELS:
            raise ImageError(
                f"claims {self.width:,} x {self.height:,} pixels; at most {MAX_SIDE:,} a side and "
                f"{MAX_PIXELS // 1_000_000} megapixels are read: scale it down first"
            )


def read_header(data: bytes) -> Header:
    """The header of an encoded picture, its kind found by content, its size within bounds.

    ImageError, less the file's name, where it is no picture, breaks off already here, or is too large.
    """
    try:
        header = _READERS[_kind(data)](data)
    except (struct.error, IndexError) as error:
        raise Damaged from error
    header.check_size()
    return header


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if data[4:8] == b"ftyp":
        return _iso_kind(data)
    if data[:2] == b"BM" and len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADER_SIZES:
        return "bmp"
    raise ImageError(_what_else(data))


def _iso_kind(data: bytes) -> str:
    brands = {
        data[at : at + 4] for at in (8, *range(16, min(max(int.from_bytes(data[:4], "big"), 16), 256), 4))
    }
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIC_BRANDS or data[8:12] in (b"mif1", b"msf1"):
        raise ImageError(
            "is HEIC, which is not read here; convert it to JPEG first, with "
            "`heif-convert photo.heic photo.jpg` or Export in macOS Preview"
        )
    raise ImageError("is a video, not a picture; try: facestream run FILE")


def _what_else(data: bytes) -> str:
    for start, message in _ELSEWHERE:
        if data.startswith(start):
            return message
    head = data[:512]
    if b"<svg" in head:
        return "is SVG, a drawing without pixels; export it as PNG first"
    if not any(byte < 9 or 13 < byte < 32 for byte in head):
        return f"holds text, not a picture, whatever its name says; give a {KINDS} file"
    return f"is not a picture of a known kind; give a {KINDS} file"


def _jpeg(data: bytes) -> Header:
    orientation, at = UPRIGHT, 2
    for _ in range(_MAX_PARTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or found[1] in (b"\xd9", b"\xda"):
            break
        marker, at = found[1][0], found.end()
        if marker in _JPEG_BARE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return Header("jpeg", width, height, orientation)
        if marker == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0" and orientation == UPRIGHT:
            orientation = exif_orientation(data[at + 8 : at + length])
        at += max(length, 2)
    raise Damaged


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise Damaged
    width, height = struct.unpack_from(">II", data, 16)
    orientation = UPRIGHT
    for name, content in png_chunks(data):
        if name == b"eXIf":
            orientation = exif_orientation(content)
            break
    return Header("png", width, height, orientation)


def _bmp(data: bytes) -> Header:
    size, offset = struct.unpack_from("<I", data, 14)[0], struct.unpack_from("<I", data, 10)[0]
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packed = 0
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        packed = struct.unpack_from("<I", data, 30)[0] if size >= 40 else 0
    stored = 0 if packed in (1, 2) else (abs(width) * bits + 31) // 32 * 4 * abs(height)
    header = Header("bmp", max(width, 0), abs(height))
    header.check_size()
    if offset + stored > len(data):
        raise Damaged
    return header


def _tiff(data: bytes) -> Header:
    directory = Directory.read(data)
    if directory is None or not directory.whole(data):
        raise Damaged
    return Header("tiff", directory.width, directory.height, directory.orientation)


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _colours_bytes(flags)
    for _ in range(_MAX_EXTENSIONS):
        if data[at] != 0x21:
            break
        at = _after_blocks(data, at + 2)
    if data[at] != 0x2C:
        raise Damaged
    _after_blocks(data, at + 11 + _colours_bytes(data[at + 9]))
    return Header("gif", width, height)


def _colours_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    """Past a chain of GIF sub-blocks; IndexError where the file ends inside it."""
    for _ in range(_MAX_PARTS):
        if not data[at]:
            return at + 1
        at += data[at] + 1
    raise Damaged


def _webp(data: bytes) -> Header:
    picture = read_webp(data)
    return Header("webp", picture.width, picture.height, picture.orientation)


def _avif(data: bytes) -> Header:
    picture = read_avif(data)
    return Header("avif", picture.width, picture.height, picture.orientation)


_READERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
    "gif": _gif,
    "avif": _avif,
}
