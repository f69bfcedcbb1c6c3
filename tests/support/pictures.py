"""Pictures for tests: one whose way up can be seen, in every kind of file, whole and broken."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 64, 96
# BGR, from the upper left to the lower right.
CORNERS = {"red": (40, 40, 220), "green": (60, 190, 60), "blue": (210, 60, 50), "yellow": (50, 210, 230)}

TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}
_UNDONE_BY = {6: 8, 8: 6}

KINDS = ("jpg", "png", "webp", "bmp", "tif", "gif", "avif")
_FORMATS = {
    "jpg": ("JPEG", {"quality": 97, "subsampling": 0}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tif": ("TIFF", {"compression": "tiff_lzw"}),
    "gif": ("GIF", {}),
    "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
}


def four_corners(height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """A picture with a colour of its own in each corner, BGR."""
    picture = np.empty((height, width, 3), np.uint8)
    red, green, blue, yellow = CORNERS.values()
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = red, green
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = blue, yellow
    return picture


def corners_of(picture: Pixels) -> tuple[str, ...]:
    """The names of the four corners' colours, row by row, each found within 24 of its true value."""
    height, width = picture.shape[:2]
    rows, columns = (height // 8, height - 1 - height // 8), (width // 8, width - 1 - width // 8)
    return tuple(_name_of(picture[row, column]) for row in rows for column in columns)


def _name_of(colour: Pixels) -> str:
    distances = {name: int(np.abs(colour.astype(int) - true).max()) for name, true in CORNERS.items()}
    best = min(distances, key=lambda name: distances[name])
    return best if distances[best] <= 24 else f"none of them ({colour.tolist()})"


def as_pillow(picture: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file of that kind, by Pillow."""
    form, usual = _FORMATS[kind]
    file = io.BytesIO()
    image.save(file, form, **(usual | options))
    return file.getvalue()


def picture_bytes(kind: str, picture: Pixels | None = None) -> bytes:
    return encoded(as_pillow(four_corners() if picture is None else picture), kind)


def turned_bytes(kind: str, orientation: int, picture: Pixels | None = None) -> bytes:
    """A file that stores the picture turned, and says how to turn it back."""
    upright = four_corners() if picture is None else picture
    stored = TURNS[_UNDONE_BY.get(orientation, orientation)](upright)
    exif = Image.Exif()
    exif[0x112] = orientation
    return encoded(as_pillow(stored), kind, exif=exif)


def seen_by_pillow(data: bytes) -> Pixels:
    """BGR on white, by another reader than ours, unturned."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    ground.alpha_composite(image)
    return np.asarray(ground.convert("RGB"))[..., ::-1]


def png_of(
    width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"", laced: int = 0
) -> bytes:
    """A PNG made by hand: its header, `extra` chunks, and `rows` compressed."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, laced)
    body = (
        png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def laced_png(picture: Pixels) -> bytes:
    """An Adam7-interlaced PNG of a BGR picture."""
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
    ):  # fmt: skip
        part = picture[top::down, left::across, ::-1]
        rows += b"".join(b"\0" + row.tobytes() for row in part) if part.size else b""
    return png_of(picture.shape[1], picture.shape[0], 8, 2, rows, laced=1)


def box_of(name: bytes, content: bytes) -> bytes:
    """A box of an ISO media file."""
    return struct.pack(">I4s", len(content) + 8, name) + content


def claiming_to_be_huge(kind: str, side: int = 60_000) -> bytes:
    """A true file of that kind whose header was changed to claim side x side pixels."""
    data = bytearray(picture_bytes(kind))
    little, big = struct.pack("<I", side), struct.pack(">I", side)
    if kind == "jpg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", side, side)
    elif kind == "png":
        data[16:24] = big + big
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "webp":
        size = struct.pack("<I", side - 1)[:3]
        data[12:12] = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size + size
        data[4:8] = struct.pack("<I", len(data) - 8)
    elif kind == "bmp":
        data[18:26] = little + little
    elif kind == "gif":
        data[6:10] = struct.pack("<HH", side, side)
    elif kind == "avif":
        at = data.index(b"ispe") + 8
        data[at : at + 8] = big + big
    else:
        (start,) = struct.unpack_from("<I", data, 4)
        for entry in range(struct.unpack_from("<H", data, start)[0]):
            at = start + 2 + 12 * entry
            if struct.unpack_from("<H", data, at)[0] in (256, 257):
                data[at + 2 : at + 12] = struct.pack("<HI", 4, 1) + little
    return bytes(data)


def video_bytes() -> bytes:
    """A short MP4."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(four_corners(), format="bgr24")))
        container.mux(stream.encode())
    return file.getvalue()


@contextmanager
def library_output() -> Iterator[list[bytes]]:
    """What is written to the process's own stderr, past Python's: libraries do that."""
    said: list[bytes] = []
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            said.append(file.read())
