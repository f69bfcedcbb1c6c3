"""What a sink is given: results, and what was missed of them, each as one JSON object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from facestream.errors import ResultsMissed
from facestream.json_line import json_line
from facestream.results.result import Result

Kind = Literal["result", "missed"]


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object on its way. key: the same whenever it is sent again; camera: None for what is of all.

    body: UTF-8, on one line. at_ms: when the broker had it, by the broker's clock. result: what is to be
    acknowledged, None for what was missed.
    """

    kind: Kind
    key: str
    camera: str | None
    body: bytes
    at_ms: int
    result: Result | None = None


def record_of(item: Result | ResultsMissed) -> Record:
    return _of_missed(item) if isinstance(item, ResultsMissed) else _of_result(item)


def _of_result(result: Result) -> Record:
    key = f"{result.camera}/{result.epoch}/{result.seq}"
    # Ours last: a field of that name in a stranger's result must not say that it is something else.
    body = json_line({**result.raw, "type": "result"}).encode()
    return Record("result", key, result.camera, body, int(result.entry.partition("-")[0]), result)


def _of_missed(missed: ResultsMissed) -> Record:
    """Results of one partition that were gone before they were read; `count` is null where nobody knows."""
    since, until = _text(missed.since), _text(missed.until)
    fields = {"partition": missed.partition, "count": missed.count, "since": since, "until": until}
    key = f"missed/{missed.partition}/{since}/{until}"
    at_ms = int(missed.until.timestamp() * 1000) if missed.until else 0
    return Record("missed", key, None, json_line({"type": "missed", **fields}).encode(), at_ms)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
