"""What travels: what is written can be read, anything else is refused with its reason."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.keys import partition_tag
from facestream.bus.ledger import read_ledger, settle
from facestream.contract import (
    MAX_HEADER_BYTES,
    DropReason,
    FaceMap,
    FrameHeader,
    RejectMap,
    ResultMap,
    SourceDrop,
    describe_result,
    pack_reject,
    pack_result,
    unpack_audience,
    unpack_reject,
    unpack_result,
    unpack_track,
)
from facestream.errors import FrameRefused
from facestream.zones import Zone
from facestream_models.faces import Estimates, Faces, Labels
from support.bus import begin, header, publish, result_of, take, worker

HERE = Path(__file__).parent
KINDS = ("header", "result", "reject", "track", "audience")
UNPACK: dict[str, Callable[[bytes], Any]] = {
    "header": FrameHeader.unpack,
    "result": unpack_result,
    "reject": unpack_reject,
    "track": unpack_track,
    "audience": unpack_audience,
}
bounded = settings(max_examples=80, deadline=None)

whole = st.integers(0, 2**53)
side = st.integers(1, 9_000)
text = st.text(max_size=40)
camera = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)
number = st.floats(0, 1e4, allow_nan=False)


fraction = st.integers(0, 100_000).map(lambda part: part / 100_000)
ring = st.lists(st.tuples(fraction, fraction), min_size=3, max_size=12).map(tuple)
zones = st.builds(Zone, st.none() | ring, st.lists(ring, max_size=3).map(tuple))


@st.composite
def headers(draw: st.DrawFn) -> FrameHeader:
    width, height = draw(side), draw(side)
    x, y = draw(st.integers(0, width)), draw(st.integers(0, height))
    region = x, y, draw(st.integers(0, width - x)), draw(st.integers(0, height - y))
    return FrameHeader(
        camera=draw(camera),
        source=draw(text),
        epoch=draw(whole),
        seq=draw(whole),
        pts_us=draw(whole),
        captured_at_us=draw(whole),
        clock=draw(st.sampled_from(["receipt", "sender", "file"])),
        width=draw(side),
        height=draw(side),
        source_width=width,
        source_height=height,
        region=region,
        held_us=draw(whole),
        max_age_ms=draw(st.none() | whole),
        attributes=draw(st.none() | st.lists(text, max_size=16).map(tuple)),
        codec=draw(text),
        zone=draw(st.none() | zones),
    )


faces = st.lists(
    st.fixed_dictionaries(
        {
            "box": st.lists(number, min_size=4, max_size=4),
            "score": number,
            "landmarks": st.lists(st.lists(number, min_size=2, max_size=2), min_size=5, max_size=5),
            "attributes": st.fixed_dictionaries(
                {},
                optional={
                    "gender": st.fixed_dictionaries({"label": text, "score": number}),
                    "age": st.fixed_dictionaries({"years": st.none() | number, "score": number}),
                },
            ),
        }
    ),
    max_size=4,
)


@st.composite
def results(draw: st.DrawFn) -> ResultMap:
    return describe_result(
        draw(headers()),
        cast(list[FaceMap], draw(faces)),
        models=draw(st.dictionaries(text, text, max_size=3)),
        timings_ms=draw(st.dictionaries(text, number, max_size=6)),
        worker=draw(text),
        completed_at_us=draw(whole),
    )


rejects = st.fixed_dictionaries(
    {
        "v": st.just(1),
        "camera": camera,
        "reason": st.sampled_from([reason.value for reason in DropReason]),
        "error": text,
        "entry": text,
        "attempts": whole,
        "worker": text,
        "refused_at_us": whole,
    },
    optional={"epoch": whole, "seq": whole},
).map(lambda fields: cast(RejectMap, fields))


def schema(kind: str) -> Draft202012Validator:
    fields = json.loads((HERE.parent / "docs" / "schema" / f"{kind}.v1.json").read_text())
    Draft202012Validator.check_schema(fields)
    return Draft202012Validator(fields)


SCHEMAS = {kind: schema(kind) for kind in KINDS}


def golden(kind: str) -> tuple[bytes, dict[str, Any]]:
    folder = HERE / "golden"
    return (folder / f"{kind}.v1.msgpack").read_bytes(), json.loads((folder / f"{kind}.v1.json").read_text())


def assert_refused(kind: str, data: bytes) -> str:
    with pytest.raises(FrameRefused) as refusal:
        UNPACK[kind](data)
    assert refusal.value.reason is DropReason.CONTRACT_ERROR
    message = str(refusal.value)
    assert message
    assert "\n" not in message
    assert len(message) < 200
    return message


def is_read(kind: str, data: bytes) -> bool:
    """Whether the bytes are of the contract; refused in no other way than as a contract error."""
    try:
        UNPACK[kind](data)
    except FrameRefused:
        assert_refused(kind, data)
        return False
    return True


# What is written


@bounded
@given(headers())
def test_a_header_comes_back_as_it_was_and_as_its_schema_says(made: FrameHeader) -> None:
    assert FrameHeader.unpack(made.pack()) == made
    SCHEMAS["header"].validate(msgpack.unpackb(made.pack()))


@bounded
@given(results())
def test_a_result_comes_back_as_it_was_and_as_its_schema_says(made: ResultMap) -> None:
    assert unpack_result(pack_result(made)) == made
    SCHEMAS["result"].validate(msgpack.unpackb(pack_result(made)))


@bounded
@given(rejects)
def test_a_reject_comes_back_as_it_was_and_as_its_schema_says(made: RejectMap) -> None:
    assert unpack_reject(pack_reject(made)) == made
    SCHEMAS["reject"].validate(msgpack.unpackb(pack_reject(made)))


def test_the_faces_of_the_models_are_those_of_the_contract() -> None:
    found = Faces(
        np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.ones((2, 5, 2), np.float32),
        {
            "gender": Labels(("female", "unknown"), np.array([0.9, 0.5], np.float32)),
            "age": Estimates(np.array([31.4, np.nan], np.float32), np.array([0.4, 0], np.float32)),
        },
    )
    made = describe_result(
        header(),
        cast(list[FaceMap], found.to_maps()),
        models={},
        timings_ms={},
        worker="w",
        completed_at_us=1,
    )
    SCHEMAS["result"].validate(unpack_result(pack_result(made)))
    assert made["faces"][1]["attributes"]["age"]["years"] is None  # type: ignore[typeddict-item]


@pytest.mark.parametrize("kind", KINDS)
def test_golden_bytes_of_version_1_stay_readable(kind: str) -> None:
    data, fields = golden(kind)
    read = UNPACK[kind](data)
    assert (read.to_map() | {"region": list(read.region)} if kind == "header" else read) == {
        **fields,
        **({"attributes": tuple(fields["attributes"])} if kind == "header" else {}),
    }
    SCHEMAS[kind].validate(fields)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_added_later_within_the_version_are_ignored(kind: str) -> None:
    _, fields = golden(kind)
    added = fields | {"added_later": {"deep": [1, None, "x"]}, "another": 2.5}
    UNPACK[kind](msgpack.packb(added))
    SCHEMAS[kind].validate(added)


def test_the_result_says_of_its_frame_what_the_header_said() -> None:
    made = header(seq=7, pts_us=280_000, source="Über.mp4", region=(1, 2, 3, 4))
    result = describe_result(made, [], models={}, timings_ms={}, worker="w", completed_at_us=9)
    told = {name: result[name] for name in result if name in FrameHeader.__slots__}  # type: ignore[literal-required]
    assert told == {name: getattr(made, name) for name in told} | {"region": [1, 2, 3, 4]}


@pytest.mark.parametrize("name", ["é" * 500, "\U0001f3a5" * 500, "clip\udcff\udc00.mp4"])
def test_a_source_of_any_name_can_be_sent_and_read(name: str) -> None:
    """Five hundred characters take up to 2,000 bytes; a file's name on Linux need not be Unicode at all."""
    read = FrameHeader.unpack(header(source=name).pack())
    assert read.source == name.replace("\udcff", "?").replace("\udc00", "?")


def test_an_error_text_in_any_script_can_be_read_back() -> None:
    _, fields = golden("reject")
    error = "画" * 300
    assert unpack_reject(pack_reject(cast(RejectMap, fields | {"error": error})))["error"] == error
    unpack_reject(pack_reject(cast(RejectMap, fields | {"error": "\ud800"})))


# What is refused


@bounded
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for kind in KINDS:
        assert_refused(kind, data)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4))
    | st.builds(msgpack.Timestamp, st.integers(0, 2**32), st.just(0)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_one_field_of_any_kind_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """And where it is read, it is what the schema allows; where it is refused, the schema forbids it."""
    _, fields = golden(kind)
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(anything)
    accepted = is_read(kind, msgpack.packb(fields | {name: value}))
    if _is_json(value) and name != "region":
        if accepted and name not in ("faces", "models"):  # there msgpack has more kinds than JSON
            SCHEMAS[kind].validate(fields | {name: value})
        if not accepted:
            assert not SCHEMAS[kind].is_valid(fields | {name: value}), (name, value)


def _is_json(value: Any) -> bool:
    """Whether JSON has the value, and as the same kind: to JSON Schema 1.0 is a whole number."""
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, float):
        return np.isfinite(value).item() and not value.is_integer()
    return value is None or isinstance(value, bool | int | str)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(value=anything)
def test_msgpack_of_any_shape_is_refused(kind: str, value: Any) -> None:
    assert_refused(kind, msgpack.packb(value))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_damaged_bytes_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    whole_bytes = bytearray(golden(kind)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        whole_bytes[data.draw(st.integers(0, len(whole_bytes) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole_bytes)))
    is_read(kind, bytes(whole_bytes))
    if cut < len(whole_bytes):
        assert_refused(kind, bytes(whole_bytes[:cut]))


HOSTILE = {
    "nothing": b"",
    "four thousand lists deep": b"\x91" * 4_000,
    "a list of four thousand million": b"\xdd\xff\xff\xff\xff",
    "a map of four thousand million": b"\xdf\xff\xff\xff\xff",
    "a text of four thousand million": b"\xdb\xff\xff\xff\xff" + b"x" * 100,
    "bytes of four thousand million": b"\xc6\xff\xff\xff\xff",
    "an extension of four thousand million": b"\xc9\xff\xff\xff\xff\x05",
    "a byte that msgpack never uses": b"\xc1",
    "not UTF-8": b"\x81\xa1v\xa2\xff\xfe",
    "keys that are numbers": msgpack.packb({1: 2}),
    "keys that are bytes": b"\x81\xc4\x01v\x01",
    "keys that are lists": b"\x81\x90\x01",
    "a list": msgpack.packb([1, 2]),
    "a number": b"\x01",
    "nil": b"\xc0",
    "two maps": msgpack.packb({"v": 1}) * 2,
    "a map in a map in a map": b"\x81\xa1v" * 1_300,
    "JSON": b'{"v": 1}',
    "a picture": b"\xff\xd8\xff\xe0" + bytes(100),
    "more than is allowed": msgpack.packb({"v": 1, "x": "y" * (4 << 20)}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_bytes_are_refused(kind: str, what: str) -> None:
    assert_refused(kind, HOSTILE[what])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [0, -1, 2, 2**63, True, 1.0, "1", None, [1]])
def test_another_version_is_refused(kind: str, version: Any) -> None:
    message = assert_refused(kind, msgpack.packb(golden(kind)[1] | {"v": version}))
    if version == 2:
        assert "future" in message
        assert "upgrade" in message


@pytest.mark.parametrize("kind", KINDS)
def test_every_required_field_is_required(kind: str) -> None:
    _, fields = golden(kind)
    required = cast(dict[str, Any], SCHEMAS[kind].schema)["required"]
    assert len(required) > 5
    for name in required:
        assert_refused(kind, msgpack.packb({key: value for key, value in fields.items() if key != name}))
    UNPACK[kind](msgpack.packb({name: fields[name] for name in required}))


WRONG_IN_HEADER = [
    {"camera": "../etc"},
    {"camera": "Gate"},
    {"camera": "a" * 64},
    {"camera": "gate\n"},
    {"clock": []},
    {"clock": {}},
    {"clock": "sundial"},
    {"seq": -1},
    {"seq": 2**53 + 1},
    {"seq": True},
    {"epoch": 1.5},
    {"width": 0},
    {"height": 16_385},
    {"width": 16_000, "height": 16_000},
    {"source_width": 60_000, "source_height": 60_000},
    {"region": [0, 0, 1921, 1080]},
    {"region": [0, 1, 1920, 1080]},
    {"region": [0, 0, 1920]},
    {"region": [-1, 0, 10, 10]},
    {"region": [2**63, 2**63, 0, 0]},
    {"region": "abcd"},
    {"region": {"0": 0, "1": 0, "2": 0, "3": 0}},
    {"max_age_ms": -1},
    {"max_age_ms": "soon"},
    {"attributes": "gender"},
    {"attributes": ["gender"] * 17},
    {"attributes": [1]},
    {"codec": None},
    {"zone": [[0, 0], [1, 0], [1, 1]]},
    {"zone": {"include": [[0, 0], [1, 0]]}},
    {"zone": {"include": [[0, 0]] * 65}},
    {"zone": {"include": [[0, 0], [1, 0], [1, 1.001]]}},
    {"zone": {"include": [[0, 0], [1, 0], [float("nan"), 1]]}},
    {"zone": {"include": [[0, 0], [1, 0], [1, True]]}},
    {"zone": {"include": [[0, 0], [1, 0], [1, 1, 1]]}},
    {"zone": {"include": "abc"}},
    {"zone": {"exclude": None}},
    {"zone": {"exclude": [[0, 0], [1, 0], [1, 1]]}},
    {"zone": {"exclude": [[[0, 0], [1, 0], [1, 1]]] * 17}},
]


@pytest.mark.parametrize("changes", WRONG_IN_HEADER, ids=str)
def test_a_header_that_is_wrong_in_one_field_is_refused(changes: dict[str, Any]) -> None:
    assert_refused("header", msgpack.packb(golden("header")[1] | changes))


WRONG_IN_FACE = [
    {"box": [1, 2, 3]},
    {"box": [1, 2, 3, float("nan")]},
    {"box": [1, 2, 3, float("inf")]},
    {"box": [1, 2, 3, "4"]},
    {"box": None},
    {"score": None},
    {"score": True},
    {"landmarks": []},
    {"landmarks": [[1, 2]] * 4},
    {"landmarks": [[1, 2, 3]] * 5},
    {"landmarks": [1] * 10},
    {"attributes": None},
    {"attributes": []},
    {"attributes": {"gender": "female"}},
]


@pytest.mark.parametrize("changes", WRONG_IN_FACE, ids=str)
def test_a_result_with_a_face_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    _, fields = golden("result")
    wrong = fields | {"faces": [fields["faces"][0] | changes]}
    assert_refused("result", msgpack.packb(wrong))


def test_a_header_of_the_most_bytes_is_read_and_one_more_refused() -> None:
    fields = header().to_map()
    fields |= {"end": ["x" * 2040] * 7}
    room = MAX_HEADER_BYTES - len(msgpack.packb(fields | {"pad": ""})) - 2
    longest = msgpack.packb(fields | {"pad": "x" * room})
    assert len(longest) == MAX_HEADER_BYTES
    FrameHeader.unpack(longest)
    assert "16385 bytes" in assert_refused("header", msgpack.packb(fields | {"pad": "x" * (room + 1)}))


def test_numbers_larger_than_a_float_are_still_numbers() -> None:
    """A box of 2^64 - 1 is absurd, but reading it must not break the reader."""
    _, fields = golden("result")
    huge = struct.unpack(">d", struct.pack(">d", 1e308))[0]
    face = fields["faces"][0] | {"box": [2**64 - 1, huge, 0, 0]}
    assert unpack_result(msgpack.packb(fields | {"faces": [face]}))["faces"][0]["box"][1] == huge


# The document

DOCUMENT = (HERE.parent / "docs" / "contract.md").read_text()


def section(heading: str) -> str:
    return DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """The cells of all tables of a section."""
    lines = [line.strip("|").split("|") for line in section(heading).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("kind", ["header", "reject", "track", "audience"])
def test_the_document_tells_every_field_and_whether_it_is_required(kind: str) -> None:
    told = {names(row[0])[0]: row[2] == "yes" for row in rows(kind.capitalize())}
    fields = cast(dict[str, Any], SCHEMAS[kind].schema)
    assert told == {name: name in fields["required"] for name in fields["properties"]}


def test_the_document_tells_every_field_of_a_result() -> None:
    told = {name for row in rows("Result") for name in names(row[0])}
    fields = cast(dict[str, Any], SCHEMAS["result"].schema)
    face = fields["$defs"]["face"]["properties"]
    assert told == {*fields["properties"], *face, *face["attributes"]["properties"]}
    assert set(fields["required"]) == set(fields["properties"])


def test_the_document_tells_every_reason_and_where() -> None:
    told = {names(row[0])[0]: row[1] for row in rows("Where frames end")}
    assert list(told) == [*SourceDrop, *DropReason]
    assert {reason for reason, where in told.items() if where == "source"} == set(SourceDrop)


def test_the_document_tells_every_key(connection: Connection) -> None:
    keys = connection.keys
    told = {names(row[0])[0] for row in rows("Keys")}
    base = keys.base(0)
    known = {
        keys.frames("<camera>"),
        keys.unread("<camera>"),
        keys.ledger("<camera>"),
        keys.watch("<camera>"),
        keys.record("<camera>"),
        keys.tap("<camera>"),
        keys.held(0, "<worker>"),
    }
    known |= {keys.cameras(0), keys.ready(0), keys.orphans(0), keys.workers(0), keys.sweeper(0)}
    known |= {keys.results(0), keys.results_added(0), keys.rejects(0)}
    known |= {keys.tracks(0), keys.audience(0), keys.about}
    assert told == {key.replace(base, "fs:{tag}:") for key in known} | {"fs:meta"}


def test_the_document_tells_every_field_of_the_ledger(connection: Connection) -> None:
    epoch = begin(connection, "cam", live=True, depth=1)
    epoch.totals.capture()
    epoch.totals.drop(SourceDrop.FPS_LIMIT)
    publish(epoch, 3)
    taker = worker(connection)
    taker.commit([result_of(delivery) for delivery in take(taker)])
    epoch.report(ended=True)
    begin(connection, "cam").report()
    connection.read("XDEL", connection.keys.frames("cam"), "0-1")
    connection.read("HINCRBY", connection.keys.ledger("cam"), "published", 1)
    settle(connection, "cam", "on purpose")
    found = {name.decode() for name in connection.read("HKEYS", connection.keys.ledger("cam"))}
    told = {names(row[0])[0].split("<")[0] for row in rows("Ledger")}
    assert {re.sub(r"(src:|drop:|age:).*", r"\1", name) for name in found} <= told
    assert told - {re.sub(r"(src:|drop:|age:).*", r"\1", name) for name in found} <= {"src:"}


def test_the_document_tells_the_tags_of_three_partitions() -> None:
    assert "`3`, `1`, `0` for three" in section("Keys")
    assert [partition_tag(partition, 3) for partition in range(3)] == ["3", "1", "0"]


def test_the_documents_ten_lines_read_results(broker: EmbeddedBroker, connection: Connection) -> None:
    code = section("Reading results").split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 10
    publish(begin(connection, "cam"), 3)
    taker, results = worker(connection), connection.keys.results(0)
    for delivery in take(taker, 3):
        taker.commit([result_of(delivery)])
    again = connection.read("XRANGE", results, "-", "+", "COUNT", 1)[0][1][b"r"]
    connection.read("XADD", results, "*", "r", again)
    code = code.replace("redis://localhost:6379/0", broker.url).replace("fs:{0}:results", results)
    ran = subprocess.run(
        [sys.executable, "-c", code.replace("block=2000", "block=10")],
        capture_output=True,
        text=True,
        check=True,
    )
    epoch = str(read_ledger(connection, "cam").epoch)
    assert [line.split(" ", 3) for line in ran.stdout.splitlines()] == [
        ["cam", epoch, str(seq), "[]"] for seq in range(3)
    ]
