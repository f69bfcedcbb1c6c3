"""Says whether a video file ends before its own header says it does."""

from __future__ import annotations

from pathlib import Path

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def is_cut_short(path: Path, format_name: str, *, packets: int, promised: int) -> bool:
    """Exact signs only, no estimate from a duration (sound may outlast the picture).

    packets: read from the file. promised: by its index, 0 when it has none.
    """
    if "mov" in format_name.split(","):
        return packets < promised
    if "matroska" in format_name.split(","):
        return _matroska_is_cut(path)
    return False


def _matroska_is_cut(path: Path) -> bool:
    """Matroska names the length of its one segment, unless it was written live."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(_EBML):
        return False
    header = _sized(head, len(_EBML))
    if header is None or head[header[0] + header[1] :][: len(_SEGMENT)] != _SEGMENT:
        return False
    segment = _sized(head, header[0] + header[1] + len(_SEGMENT))
    return segment is not None and segment[0] + segment[1] > size


def _sized(data: bytes, at: int) -> tuple[int, int] | None:
    """The EBML length at `at`: where its content begins and how long it is; None when unknown."""
    if at >= len(data) or data[at] == 0:
        return None
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << (7 * width)) - 1)
    return None if value == (1 << (7 * width)) - 1 else (at + width, value)
