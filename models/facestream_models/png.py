"""A PNG file's chunks, and the file without those that only describe it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

from facestream_models.damaged import Damaged

_START = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Left, top, step across and step down of the passes of an interlaced picture.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_CHUNKS = 1_000_000
_INFLATE_BYTES = 1 << 20


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk; Damaged or struct.error where one breaks off or is changed."""
    at = len(_START)
    for _ in range(_MAX_CHUNKS):
        if at == len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(content, zlib.crc32(name)) != checksum:
            raise Damaged
        yield name, content
        if name == b"IEND":
            return
        at += 12 + length


def bare_png(data: bytes) -> bytes:
    """The file with nothing but its pixels; Damaged where it lacks its end or some of them."""
    kept = [_START]
    packed: list[bytes] = []
    name = b""
    for name, content in png_chunks(data):
        if name in _NEEDED:
            checksum = zlib.crc32(content, zlib.crc32(name))
            kept += [struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)]
        if name == b"IDAT":
            packed.append(content)
    if name != b"IEND" or not _hold(packed, _expected_bytes(data)):
        raise Damaged
    return b"".join(kept)


def _hold(packed: Sequence[bytes], expected_bytes: int) -> bool:
    """Whether there is data enough for the picture; FFmpeg would leave missing rows as they were."""
    inflater, total = zlib.decompressobj(), 0
    try:
        for part in packed:
            rest = part
            while rest and not inflater.eof and total < expected_bytes:
                total += len(inflater.decompress(rest, _INFLATE_BYTES))
                rest = inflater.unconsumed_tail
    except zlib.error as error:
        raise Damaged from error
    return total >= expected_bytes


def _expected_bytes(data: bytes) -> int:
    width, height, bits, colour, _, _, laced = struct.unpack_from(">IIBBBBB", data, 16)
    total = 0
    for left, top, across, down in _ADAM7 if laced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits * _SAMPLES.get(colour, 0) + 7) // 8)
    return total
