"""A recording is whole up to where it was cut, honest about what it missed, and for its owner's eyes only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.tap import MAX_FRAMES, MAX_RECORDED_BYTES, Tap, TapWriter
from facestream.contract import MAX_IMAGE_BYTES, DropReason, FrameHeader
from facestream.errors import BusUnavailable, SourceBroken, SourceMissing, SourceUnreadable, UsageError
from facestream.recording import entries
from facestream.recording.entries import FIRST_LINE, PREFIX, Began, Ended, Entry, Frame, Reject, Result
from facestream.recording.reader import Recording
from facestream.recording.recorder import Recorded, Recorder
from facestream.recording.writer import RecordingWriter
from support.bus import IMAGE, begin, header, publish, reject_of, result_of, take, wait_until, worker
from support.kept_server import KeptServer

AT_US = 1_700_000_000_000_000
MANY = 10_000_000
BEGAN = Began(AT_US, ("cam",), True, "0.1.0")
ENDED = Ended(AT_US, "time", 2)
FRAMES = [Frame(AT_US + seq, header(seq=seq, pts_us=seq), IMAGE + bytes([seq])) for seq in range(3)]


def packed(entry: Began | Frame | Ended) -> bytes:
    match entry:
        case Began():
            return entries.pack_began(entry)
        case Ended():
            return entries.pack_ended(entry)
    return entries.pack_frame(entry.at_us, entry.header.pack(), entry.image)


WHOLE = FIRST_LINE + b"".join(map(packed, [BEGAN, *FRAMES, ENDED]))


def read(path: Path) -> tuple[list[Entry], str | None]:
    """The whole entries, and why there are no more, if that is said."""
    found: list[Entry] = []
    try:
        found.extend(Recording(path).entries())
    except SourceBroken as error:
        return found, str(error)
    return found, None


def with_bytes(folder: Path, data: bytes) -> Path:
    path = folder / "r.fsrec"
    path.write_bytes(data)
    return path


# The file


def test_what_was_written_is_read(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "new/r.fsrec", MANY)
    for entry in (BEGAN, *FRAMES):
        assert writer.add(packed(entry))
    writer.finish(packed(ENDED))
    writer.close(keep=True)
    assert read(writer.path) == ([BEGAN, *FRAMES, ENDED], None)
    assert writer.path.read_bytes() == WHOLE
    assert writer.bytes == len(WHOLE)


def test_it_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        RecordingWriter(tmp_path / "r.fsrec", MANY).close(keep=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.fsrec").stat().st_mode) == 0o600


def test_nothing_is_written_over_and_no_link_followed(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "link.fsrec"
    precious.write_text("precious")
    link.symlink_to(tmp_path / "elsewhere")
    for path in (precious, link):
        with pytest.raises(UsageError, match="is there already"):
            RecordingWriter(path, MANY)
    assert precious.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(UsageError, match="choose another -o"):
        RecordingWriter(precious / "below.fsrec", MANY)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, len(WHOLE) - 1))
def test_cut_short_anywhere_what_is_whole_is_read(
    length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = with_bytes(tmp_path_factory.mktemp("cut"), WHOLE[:length])
    if length < len(FIRST_LINE):
        with pytest.raises(SourceUnreadable, match="is no recording"):
            Recording(path)
        return
    ends = [len(FIRST_LINE + b"".join(map(packed, [BEGAN, *FRAMES][:count]))) for count in range(5)]
    found, broken = read(path)
    assert found == [BEGAN, *FRAMES][: sum(end <= length for end in ends) - 1]
    assert broken is not None
    assert "breaks off after" in broken


@settings(max_examples=60, deadline=None)
@given(at=st.integers(len(FIRST_LINE), len(WHOLE) - 1), flip=st.integers(1, 255))
def test_a_damaged_byte_ends_it_and_invents_nothing(
    at: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= flip
    found, broken = read(with_bytes(tmp_path_factory.mktemp("damaged"), bytes(damaged)))
    assert found == [BEGAN, *FRAMES][: len(found)]
    assert broken is not None


def entry_of(fields: object) -> bytes:
    body = msgpack.packb(fields)
    return PREFIX.pack(len(body), entries.crc32(body)) + body


@pytest.mark.parametrize(
    "hostile",
    [
        PREFIX.pack(0xFFFFFFFF, 0),
        entry_of([1, 2]),
        entry_of({"kind": "frame", "at_us": -1, "h": b"", "i": b""}),
        entry_of({"kind": "frame", "at_us": 1, "h": b"\xc1", "i": b""}),
        entry_of({"kind": "frame", "at_us": 1, "h": header().pack(), "i": "text"}),
        entry_of({"kind": "result", "at_us": 1, "r": b"\x80"}),
        entry_of({"kind": "began", "at_us": 1, "cameras": ["c"] * 1000, "pictures": 1, "facestream": ""}),
        entry_of({"kind": "ended", "at_us": 1, "why": "", "missed": "all"}),
    ],
)
def test_what_is_hostile_is_refused_in_one_line(hostile: bytes, tmp_path: Path) -> None:
    found, broken = read(with_bytes(tmp_path, FIRST_LINE + packed(BEGAN) + hostile))
    assert found == [BEGAN]
    assert broken is not None
    assert broken.startswith(f"{tmp_path}/r.fsrec breaks off after 1 entries (")


def test_more_cameras_than_may_be_recorded_are_not_read(tmp_path: Path) -> None:
    crowd = [Frame(AT_US, header(camera=f"c{number}"), IMAGE) for number in range(20)]
    found, broken = read(with_bytes(tmp_path, FIRST_LINE + b"".join(map(packed, crowd))))
    assert found == crowd[: entries.MAX_CAMERAS]
    assert broken is not None
    assert "more than 16 cameras" in broken


def test_what_a_later_release_adds_is_passed_over(tmp_path: Path) -> None:
    later = entry_of({"kind": "sound", "at_us": 1, "pcm": b"123"})
    more = entry_of({"kind": "ended", "at_us": AT_US, "why": "time", "missed": 2, "mood": "good"})
    assert read(with_bytes(tmp_path, FIRST_LINE + later + more)) == ([ENDED], None)


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="does not exist"):
        Recording(tmp_path / "nowhere.fsrec")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SourceUnreadable):
            Recording(path)
    with pytest.raises(SourceUnreadable, match="of version 9, this release reads 1: upgrade"):
        Recording(with_bytes(tmp_path, b"facestream recording 9\n"))


def test_a_full_disk_leaves_whole_entries(tmp_path: Path) -> None:
    path, image = tmp_path / "r.fsrec", bytes(3000)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from facestream.recording import entries; from facestream.recording.writer import RecordingWriter\n"
        "from support.bus import header\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        f"writer = RecordingWriter(Path({str(path)!r}), {MANY})\n"
        f"while True: writer.add(entries.pack_frame({AT_US}, header().pack(), bytes(3000)))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert "FacestreamError: cannot write" in ended.stderr
    assert "what was recorded before is there" in ended.stderr
    found, broken = read(path)
    assert found == [Frame(AT_US, header(), image)] * 3
    assert broken is not None


# The recorder


@dataclass
class Running:
    """A recorder at work in a thread; `said` is what it said."""

    recorder: Recorder
    path: Path
    said: list[str]
    end: Callable[[], Recorded]


@contextmanager
def recording(
    connection: Connection,
    folder: Path,
    *cameras: str,
    pictures: bool = True,
    seconds: float = 60.0,
    max_bytes: int = MANY,
) -> Iterator[Running]:
    said: list[str] = []
    recorder, stop = Recorder(connection, cameras, said.append, pictures=pictures), threading.Event()
    writer = RecordingWriter(folder / "r.fsrec", max_bytes)
    thread = threading.Thread(target=recorder.run, args=(writer, seconds, stop, lambda *_: None))
    thread.start()

    def end() -> Recorded:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        return recorder.recorded

    if pictures:
        for camera in cameras:
            key = connection.keys.record(camera)
            wait_until(lambda key=key: connection.read("EXISTS", key) == 1, "it asks")  # type: ignore[misc]
    try:
        yield Running(recorder, writer.path, said, end)
    finally:
        end()
        writer.close(keep=True)


def offered(writer: TapWriter, *seqs: int, camera: str = "cam", epoch: int = 1) -> list[tuple[int, bytes]]:
    for seq in seqs:
        writer.offer(header(camera=camera, epoch=epoch, seq=seq), IMAGE + bytes([seq]))
    return [(seq, IMAGE + bytes([seq])) for seq in seqs]


def frames_in(path: Path) -> list[tuple[str, int, bytes]]:
    return [(e.header.camera, e.header.seq, e.image) for e in read(path)[0] if isinstance(e, Frame)]


def test_every_frame_is_kept_and_what_passed_unrecorded_is_counted(
    connection: Connection, tmp_path: Path
) -> None:
    with recording(connection, tmp_path, "cam", "yard") as running:
        cam, yard = TapWriter(connection, "cam"), TapWriter(connection, "yard")
        first = offered(cam, *range(20))
        offered(yard, 7, camera="yard")
        # 20 and 21 never came to the tap, as when the broker is full, nor the first five of a new epoch.
        second = offered(cam, 22) + offered(cam, 5, epoch=2)
        wait_until(lambda: running.recorder.recorded.frames.total() == 23, "all are recorded")
        recorded = running.end()
    assert [
        (seq, image) for camera, seq, image in frames_in(running.path) if camera == "cam"
    ] == first + second
    assert ("yard", 7, IMAGE + b"\x07") in frames_in(running.path)
    assert (recorded.missed["cam"], recorded.missed["yard"]) == (7, 0)
    found, broken = read(running.path)
    assert broken is None
    assert (found[0].__class__, found[-1].__class__) == (Began, Ended)
    assert isinstance(found[-1], Ended)
    assert (found[-1].why, found[-1].missed) == ("asked", 7)
    assert running.said == []


def test_a_picture_that_no_reader_would_take_is_not_recorded(connection: Connection, tmp_path: Path) -> None:
    with recording(connection, tmp_path, "cam") as running:
        tap = connection.keys.tap("cam")
        huge = header(camera="cam", epoch=1, seq=1).pack()
        connection.read("XADD", tap, "*", "h", huge, "i", bytes(MAX_IMAGE_BYTES + 1))
        whole = offered(TapWriter(connection, "cam"), 2)
        wait_until(lambda: running.recorder.recorded.frames.total() >= 1, "the other is recorded")
        running.end()
    assert [(seq, image) for _, seq, image in frames_in(running.path)] == whole
    assert read(running.path)[1] is None


def test_the_tap_keeps_more_for_a_recorder_within_bounds(connection: Connection) -> None:
    Tap(connection).ask_to_record("cam")
    told: list[bool] = []
    writer, tap = TapWriter(connection, "cam", told.append), connection.keys.tap("cam")
    offered(writer, *range(3 * MAX_FRAMES))
    assert connection.read("XLEN", tap) == 3 * MAX_FRAMES
    for _ in range(4):
        writer.offer(header(), bytes(MAX_RECORDED_BYTES // 2))
    assert connection.read("XLEN", tap) == 2
    assert 0 < connection.read("TTL", tap) <= 10
    connection.read("DEL", connection.keys.record("cam"))
    Tap(connection).watch("cam")
    offered(writer, *range(3 * MAX_FRAMES))
    assert connection.read("XLEN", tap) == MAX_FRAMES
    assert told == [True, False]


def test_the_producer_is_told_the_end_when_nobody_looks_on_either(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told = 1000.0, list[bool]()
    monkeypatch.setattr("facestream.bus.tap.time.monotonic", lambda: now)
    writer = TapWriter(connection, "cam", told.append)
    Tap(connection).ask_to_record("cam")
    offered(writer, 0)
    connection.read("DEL", connection.keys.record("cam"))
    offered(writer, 1)
    assert told == [True, False]


def ends(connection: Connection) -> None:
    """One frame of cam and one of yard end as a result and as a reject each."""
    hands = worker(connection)
    for camera in ("cam", "yard"):
        publish(begin(connection, camera), 2)
        for outcome in (result_of, reject_of):
            [delivery] = take(hands)
            hands.commit([outcome(delivery)])


@pytest.mark.parametrize("cameras", [(), ("cam",)])
def test_results_and_rejects_are_recorded_without_pictures(
    connection: Connection, tmp_path: Path, cameras: tuple[str, ...]
) -> None:
    with recording(connection, tmp_path, *cameras, pictures=False) as running:
        ends(connection)
        recorded = running.recorder.recorded
        each = len(cameras) or 2
        wait_until(lambda: (recorded.results, recorded.rejects) == (each, each), "all are recorded")
    found, _ = read(running.path)
    results = [entry.result["camera"] for entry in found if isinstance(entry, Result)]
    rejects = [entry.reject for entry in found if isinstance(entry, Reject)]
    assert results == list(cameras or ("cam", "yard"))
    assert {reject["reason"] for reject in rejects} == {DropReason.DECODE_ERROR}
    assert IMAGE not in running.path.read_bytes()
    assert connection.read("EXISTS", connection.keys.record("cam")) == 0


def test_it_ends_where_the_file_has_no_more_room(connection: Connection, tmp_path: Path) -> None:
    with recording(connection, tmp_path, "cam", max_bytes=2000) as running:
        offered(TapWriter(connection, "cam"), *range(20))
        wait_until(lambda: running.recorder.recorded.why == "size", "it is full")
    found, broken = read(running.path)
    assert broken is None
    assert 0 < len(frames_in(running.path)) < 20
    assert isinstance(found[-1], Ended)
    assert running.path.stat().st_size < 2100


def test_who_may_not_read_rejects_records_the_rest(
    broker: EmbeddedBroker, connection: Connection, prefix: str, tmp_path: Path
) -> None:
    publish(begin(connection, "cam"))
    rules = f"%R~{prefix}:meta %R~{prefix}:{{*}}:results -@all +@read +@connection +@blocking +info"
    connection.read("ACL", "SETUSER", prefix, "on", ">peek", *rules.split())
    reader = Connection(broker.url.replace("unix://", f"unix://{prefix}:peek@"), prefix=prefix)
    with recording(reader, tmp_path, pictures=False) as running:
        hands = worker(connection)
        hands.commit([result_of(delivery) for delivery in take(hands)])
        wait_until(lambda: running.recorder.recorded.results == 1, "it is recorded")
    reader.close()
    connection.read("ACL", "DELUSER", prefix)
    [line] = running.said
    assert line.endswith("; the rest is recorded")


def test_headers_stay_as_they_were_byte_for_byte(connection: Connection, tmp_path: Path) -> None:
    with recording(connection, tmp_path, "cam") as running:
        TapWriter(connection, "cam").offer(header(attributes=("gender",)), IMAGE)
        wait_until(lambda: running.recorder.recorded.frames.total() == 1, "it is recorded")
    sent = FrameHeader.pack(header(attributes=("gender",)))
    assert sent in running.path.read_bytes()


def test_a_recording_that_is_not_to_be_kept_leaves_no_file(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r.fsrec", MANY)
    writer.close(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_it_goes_on_with_a_broker_that_began_anew(tmp_path: Path) -> None:
    with (
        KeptServer(keeps=False) as server,
        closing(Connection(server.url)) as connection,
        recording(connection, tmp_path, "cam") as running,
    ):
        offered(TapWriter(connection, "cam"), 0)
        wait_until(lambda: running.recorder.recorded.frames.total() == 1, "the first is recorded")
        server.restart()
        wait_until(lambda: connection_is_back(connection), "it is asked again")
        offered(TapWriter(connection, "cam"), 1)
        wait_until(lambda: running.recorder.recorded.frames.total() == 2, "the second is recorded")
        running.end()
    assert [seq for _, seq, _ in frames_in(running.path)] == [0, 1]
    assert len(running.said) <= 1, "said once, where it was noticed at all"


def test_a_broker_that_stays_away_does_not_make_it_longer(tmp_path: Path) -> None:
    with (
        KeptServer(keeps=False) as server,
        closing(Connection(server.url)) as connection,
        recording(connection, tmp_path, "cam", seconds=0.5) as running,
    ):
        server.kill()
        wait_until(lambda: read(running.path)[1] is None, "it ends by itself, and whole")
        assert running.recorder.recorded.why == "time"
        server.start()


def connection_is_back(connection: Connection) -> bool:
    with suppress(BusUnavailable):
        return bool(connection.read("EXISTS", connection.keys.record("cam")))
    return False
