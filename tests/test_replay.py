"""A bug report is one file: recorded from a running system, it gives the same frames and the same results."""

from __future__ import annotations

import json
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facestream.address_policy import AddressPolicy
from facestream.broker import EmbeddedBroker
from facestream.bus.camera_entry import Camera
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.camera_url import CameraUrl
from facestream.contract import FrameHeader, describe_result, pack_result
from facestream.errors import SourceBroken, SourceUnreadable, UsageError
from facestream.recording import entries
from facestream.recording.entries import FIRST_LINE, Began, Ended, pack_began, pack_ended
from facestream.recording.reader import Recording
from facestream.recording.writer import RecordingWriter
from facestream.zones import Zone
from facestream_producer.attaching import Play, open_camera, play
from facestream_producer.capture import Shape
from facestream_producer.hooks import Hooks
from facestream_producer.opening import expand, open_source
from facestream_producer.recorded import uncut
from facestream_producer.replay_command import parse_speed
from facestream_producer.session import Session, name_cameras
from facestream_producer.source import Recorded
from support.bus import assert_closes, begin, entries_of, header, publish, wait_until
from support.frames import jpeg, plain
from support.processes import assert_no_traceback, facestream, started

AT_US = 1_700_000_000_000_000
HALF = Zone(include=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
SHAPE = Shape(max_side=100, quality=20, max_age_ms=1000, attributes=None)
PICTURE = jpeg(plain())


def recorded_header(camera: str, number: int) -> FrameHeader:
    return header(
        camera=camera, seq=100 + number, pts_us=9_000_000 + number * 40_000, attributes=("age",), zone=HALF
    )


def write(path: Path, *cameras: str, frames: int = 3, cut: int = 0) -> Path:
    writer = RecordingWriter(path, 10_000_000)
    writer.add(entries.pack_began(Began(AT_US, cameras, True, "0.1.0")))
    for number in range(frames):
        for camera in cameras:
            picture = PICTURE + bytes([number])  # told apart, and rubbish behind a JPEG harms nobody
            writer.add(entries.pack_frame(AT_US, recorded_header(camera, number).pack(), picture))
    result = describe_result(
        recorded_header("cam", 0), [], models={}, timings_ms={}, worker="w", completed_at_us=AT_US
    )
    writer.add(entries.pack_result(AT_US, pack_result(result)))
    writer.finish(entries.pack_ended(Ended(AT_US, "time", 0)))
    writer.close(keep=True)
    if cut:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - cut)
    return path


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def replayed(
    connection: Connection,
    path: Path,
    stop: threading.Event,
    how: Play | None = None,
    camera: str | None = None,
) -> int:
    session = Session(connection, SHAPE, Hooks(), stop, depth=1000, play=how)
    found, failed = session.expand([str(path)])
    return failed + session.run(found, name_cameras(found, camera))


def published(connection: Connection, camera: str) -> list[tuple[FrameHeader, bytes]]:
    stream = entries_of(connection, connection.keys.frames(camera))
    return [(FrameHeader.unpack(fields[b"h"]), fields[b"i"]) for _, fields in stream]


def test_frames_are_published_byte_for_byte_with_what_they_asked(
    connection: Connection, stop: threading.Event, tmp_path: Path
) -> None:
    path = write(tmp_path / "r.fsrec", "cam", "yard")
    assert replayed(connection, path, stop) == 0
    for camera in ("cam", "yard"):
        frames = published(connection, camera)
        assert [image for _, image in frames] == [PICTURE + bytes([number]) for number in range(3)]
        for number, (found, _) in enumerate(frames):
            was = recorded_header(camera, number)
            assert (found.seq, found.source) == (number, "r.fsrec")
            assert found.epoch != was.epoch
            for name in ("pts_us", "width", "height", "region", "attributes", "zone", "codec"):
                assert getattr(found, name) == getattr(was, name), name
            assert found.max_age_ms is None, "a file is lossless"
        assert_closes(connection, camera)


def test_at_its_own_pace_it_is_live_under_another_name(
    connection: Connection, stop: threading.Event, tmp_path: Path
) -> None:
    path = write(tmp_path / "r.fsrec", "cam", frames=5)
    began = time.monotonic()
    assert replayed(connection, path, stop, Play(None, loop=False, speed=0.5), camera="again") == 0
    assert time.monotonic() - began >= 4 * 0.040 / 0.5
    frames = published(connection, "again")
    assert [image[-1] for _, image in frames] == [0, 1, 2, 3, 4]
    assert {found.max_age_ms for found, _ in frames} == {1000}
    assert published(connection, "cam") == []


def test_a_recording_that_was_cut_short_gives_what_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "r.fsrec", "cam", cut=10)
    [part] = expand([str(path)])
    source = open_source(part)
    frames = source.frames()
    assert [next(frames).pts_us for _ in range(3)] == [9_000_000, 9_040_000, 9_080_000]
    with pytest.raises(SourceBroken, match="breaks off after 5 entries"):
        next(frames)
    assert source.length == 3


def test_the_source_starts_again_and_closes(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "r.fsrec", "cam")))
    assert (source.kind, source.live, source.length, source.fps) == ("recording", False, 3, 25.0)
    first, again = ([frame.pts_us for frame in source.frames()] for _ in range(2))
    assert first == again == [9_000_000, 9_040_000, 9_080_000]
    assert source.fingerprint() == open_source(f"{tmp_path}/r.fsrec#cam").fingerprint()
    source.close()
    assert list(source.frames()) == []


def test_a_glob_and_a_camera_of_several_name_recordings(tmp_path: Path) -> None:
    path = write(tmp_path / "r.fsrec", "cam", "yard")
    assert expand([f"{tmp_path}/*.fsrec"]) == [f"{path}#cam", f"{path}#yard"]
    assert name_cameras(expand([f"{path}#yard"]), None) == ["yard"]
    with pytest.raises(SourceUnreadable, match="holds no pictures of hall, but of cam, yard"):
        expand([f"{path}#hall"])
    with pytest.raises(SourceUnreadable, match="pictures of 2 cameras: name one"):
        open_source(str(path))
    with pytest.raises(SourceUnreadable, match="facestream replay prints what it holds"):
        expand([str(write(tmp_path / "none.fsrec"))])


def test_played_over_and_over_as_a_camera(stop: threading.Event, tmp_path: Path) -> None:
    path = write(tmp_path / "r.fsrec", "cam")
    source = play(f"{path}#cam", Play(None, loop=True, speed=1000.0), stop)
    assert source.live
    times = [frame.pts_us for frame, _ in zip(source.frames(), range(7), strict=False)]
    assert times == sorted(set(times))


def test_a_registered_camera_may_be_a_recording(stop: threading.Event, tmp_path: Path) -> None:
    path = write(tmp_path / "r.fsrec", "cam", frames=2)
    policy = AddressPolicy(folders=(tmp_path,))
    url = CameraUrl.parse(f"file:{path}", policy)
    source = open_camera(Camera("hall", str(url)), url, policy, lambda *_: None, stop)
    assert (source.name, source.live) == ("hall", True)
    assert isinstance(next(source.frames()).picture, Recorded)
    source.close()


def test_what_was_cut_from_a_picture_is_black_again() -> None:
    region = header(source_width=128, source_height=96, region=(32, 24, 64, 48))
    whole = uncut(Recorded(region, PICTURE))
    assert whole.shape == (96, 128, 3)
    assert whole[24:72, 32:96].min() > 100
    assert whole.sum() == whole[24:72, 32:96].sum()
    with pytest.raises(SourceUnreadable):
        uncut(Recorded(header(width=65), PICTURE))
    with pytest.raises(SourceUnreadable):
        uncut(Recorded(region, PICTURE[:40]))


@pytest.mark.parametrize(("text", "speed"), [("full", None), ("original", 1.0), ("2x", 2.0), ("0.5x", 0.5)])
def test_speeds(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["fast", "x", "0x", "1e9x", "2"])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(UsageError, match="--speed"):
        parse_speed(text)


# The commands


@pytest.fixture
def environment(broker: EmbeddedBroker, prefix: str) -> dict[str, str]:
    return {"FACESTREAM_PREFIX": prefix, "FACESTREAM_REDIS": broker.url}


def test_a_bug_report_is_one_file(
    connection: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    """Recorded while everything runs; what it gives here is what it gave there."""
    path = tmp_path / "r.fsrec"
    demo = ("producer", "demo:", "--realtime", "--loop", "--fps", 5, "--camera", "lobby")
    with started("worker", environment=environment), started(*demo, environment=environment) as producer:
        wait_until(lambda: read_ledger(connection, "lobby").results > 0, "results come")
        ended = facestream(
            "record",
            "lobby",
            "-o",
            path,
            "--seconds",
            3,
            "--i-may-record-faces",
            "--json",
            environment=environment,
        )
        assert_no_traceback(ended)
        wait_until(lambda: "its pictures are no longer recorded" in producer.err, "the producer says the end")
        assert "lobby: its pictures are being recorded (facestream record)" in producer.err
        producer.signal(signal.SIGTERM)
    said = json.loads(ended.out)
    assert said["frames"]["lobby"] >= 5
    assert (ended.status, said["missed"], said["bytes"]) == (0, {}, path.stat().st_size)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    printed = facestream("replay", path, "--results")
    before = {result["pts_us"]: result["faces"] for result in map(json.loads, printed.out.splitlines())}
    out = tmp_path / "after.jsonl"
    film = tmp_path / "after.mp4"
    again = facestream("run", path, "--out", out, "--annotate", film, "--workers", 1, "--json")
    assert (again.status, again.summary["results"]) == (0, said["frames"]["lobby"])
    assert again.summary["annotated"] == [str(film), str(film.with_suffix(".jpg"))]
    after = {result["pts_us"]: result["faces"] for result in map(json.loads, out.read_text().splitlines())}
    both = before.keys() & after.keys()
    assert len(both) >= said["frames"]["lobby"] - 2, "the last ones' results may have come too late"
    assert {at: before[at] for at in both} == {at: after[at] for at in both}


def test_pictures_are_kept_only_by_who_says_that_he_may(environment: dict[str, str], tmp_path: Path) -> None:
    refused = facestream("record", "lobby", "-o", tmp_path / "r.fsrec", environment=environment)
    assert refused.status == 2
    assert "--i-may-record-faces" in refused.err
    nothing = ("record", "lobby", "-o", tmp_path / "r.fsrec", "--seconds", 0.2, "--i-may-record-faces")
    empty = facestream(*nothing, environment=environment)
    assert (empty.status, len(empty.said)) == (2, 1)
    assert "no frame of lobby came, so no file is kept" in empty.err
    assert list(tmp_path.iterdir()) == []


def test_replay_says_what_it_holds_and_what_is_broken(
    connection: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    whole, cut = write(tmp_path / "r.fsrec", "cam"), write(tmp_path / "cut.fsrec", "cam", cut=10)
    ended = facestream("replay", whole, "--speed", "1000x", environment=environment)
    assert ended.status == 0
    assert "with facestream 0.1.0: 3 frames of cam, 1 results, 0 rejects" in ended.err
    assert json.loads(ended.out.splitlines()[-1])["published"] == 3
    printed = facestream("replay", cut, "--results")
    assert (printed.status, len(printed.out.splitlines())) == (1, 1)
    assert printed.said == [f"facestream: {cut} breaks off after 5 entries (it was cut short)"]
    none = facestream("replay", write(tmp_path / "none.fsrec"))
    assert (none.status, json.loads(none.out)["seq"]) == (0, 100)


def test_a_camera_that_is_being_sent_is_not_replayed_over(connection: Connection, tmp_path: Path) -> None:
    publish(begin(connection, "cam", live=True))
    stop = threading.Event()
    stop.set()
    path = write(tmp_path / "r.fsrec", "cam")
    assert Recording(path).contents().frames["cam"] == 3
    assert replayed(connection, path, stop) == 0
    assert read_ledger(connection, "cam").published == 1


def test_who_recorded_it_steers_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "r.fsrec"
    began = pack_began(Began(1, ("cam",), False, "\x1b[2J9\n8"))
    path.write_bytes(FIRST_LINE + began + pack_ended(Ended(2, "time", 0)))
    [line] = facestream("replay", path).err.splitlines()
    assert "with facestream ?[2J9?8:" in line
