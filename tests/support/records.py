"""Records for sinks, without a broker."""

from __future__ import annotations

import json

from facestream_sinks.record import Record


def record(number: int, camera: str = "cam", size: int = 0) -> Record:
    fields = {"type": "result", "camera": camera, "epoch": 1, "seq": number, "pad": "x" * size}
    return Record("result", f"{camera}/1/{number}", camera, json.dumps(fields).encode(), 1_700_000_000_000)


def records(*numbers: int, size: int = 0) -> list[Record]:
    return [record(number, size=size) for number in numbers]
