"""One line of JSON of anything that the contract lets through."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest

from facestream.contract import unpack_result
from facestream.errors import FrameRefused
from facestream.json_line import json_line

GOLDEN = (Path(__file__).parent / "golden/result.v1.msgpack").read_bytes()


def strict(text: str) -> object:
    def refuse(word: str) -> object:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_result_is_what_it_was() -> None:
    result = unpack_result(GOLDEN)
    line = json_line(result)
    assert strict(line) == result
    assert "\n" not in line
    assert ", " not in line


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    ("extra", "read"),
    [
        (float("nan"), None),
        ([float("inf"), 1], [None, 1]),
        (b"", None),
        ({b"": 1, "a": 2}, {"a": 2}),
        ("two\nlines\u2028", "two\nlines\u2028"),
        (2**64 - 1, 2**64 - 1),
        (nested(100), nested(100)),
    ],
)
def test_what_a_stranger_adds_becomes_json_or_null(extra: object, read: object) -> None:
    fields = msgpack.unpackb(GOLDEN) | {"extra": extra}
    line = json_line(unpack_result(msgpack.packb(fields)))
    assert strict(line) == msgpack.unpackb(GOLDEN) | {"extra": read}
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("depth", [400, 900, 990, 1000, 1010, 1020, 2000])
def test_what_is_nested_too_deep_is_refused_or_null(depth: int) -> None:
    deep = b"\x91" * depth + b"\x90"
    mark = msgpack.packb("mark")
    data = msgpack.packb(msgpack.unpackb(GOLDEN) | {"extra": "mark"}).replace(mark, deep)
    with suppress(FrameRefused):
        found = strict(json_line(unpack_result(data)))
        assert isinstance(found, dict)
        assert found.pop("extra", "gone") != "gone"
        assert found == msgpack.unpackb(GOLDEN)
