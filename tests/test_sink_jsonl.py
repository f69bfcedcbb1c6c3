"""JSON Lines: whole lines, on the disk, in files that never change once they have their name."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from facestream.errors import SinkUnavailable, UsageError
from facestream_sinks.finished import Finished
from facestream_sinks.jsonl import JsonLinesSink
from support.records import record, records

LARGE = 1 << 30


@contextmanager
def sink_to(
    path: Path,
    *,
    rotate_bytes: int = LARGE,
    rotate_seconds: float | None = None,
    compress: bool = False,
    keep_files: int | None = None,
    keep_bytes: int | None = None,
    now: list[float] | None = None,
) -> Iterator[JsonLinesSink]:
    """now: the wall clock, where the test moves it."""

    def finished(active: Path) -> Finished:
        return Finished(active, compress=compress, keep_files=keep_files, keep_bytes=keep_bytes)

    clock = now if now is not None else [1_800_000_000.0]
    sink = JsonLinesSink(
        path, finished, rotate_bytes=rotate_bytes, rotate_seconds=rotate_seconds, clock=lambda: clock[0]
    )
    with closing(sink):
        yield sink


def seqs(path: Path) -> list[int]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line)["seq"] for line in data.splitlines()]


def finished_in(folder: Path, stem: str = "results") -> list[Path]:
    return sorted(folder.glob(f"{stem}-*"))


def test_a_folder_gets_results_jsonl_and_a_file_is_appended_to(tmp_path: Path) -> None:
    with sink_to(tmp_path / "new/folder") as sink:
        sink.deliver(records(1, 2))
    with sink_to(tmp_path / "new/folder") as sink:
        sink.deliver(records(3))
    assert seqs(tmp_path / "new/folder/results.jsonl") == [1, 2, 3]
    with sink_to(tmp_path / "lobby.jsonl") as sink:
        sink.deliver(records(4))
    assert seqs(tmp_path / "lobby.jsonl") == [4]


def test_what_was_broken_off_is_cut_off_and_no_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    whole = record(1).body + b"\n"
    for rest in (b"", b'{"type":"res', b"x" * 3_000_000):
        path.write_bytes(whole + rest)
        with sink_to(path) as sink:
            sink.deliver(records(2))
        assert seqs(path) == [1, 2]
    path.write_bytes(b"never a line")
    with sink_to(path) as sink:
        sink.deliver(records(3))
    assert seqs(path) == [3]


def test_it_is_finished_before_it_is_too_large(tmp_path: Path) -> None:
    line = len(record(0).body) + 1
    with sink_to(tmp_path, rotate_bytes=3 * line) as sink:
        for first in range(0, 6, 2):
            sink.deliver(records(first, first + 1))
        sink.deliver(records(*range(6, 16), size=0)[:10])
    assert [seqs(path) for path in finished_in(tmp_path)] == [[0, 1], [2, 3], [4, 5]]
    assert len(seqs(tmp_path / "results.jsonl")) == 10, "what is larger than a file has one of its own"
    assert [path.name for path in finished_in(tmp_path)] == [
        f"results-20270115T080000Z-{number}.jsonl" for number in range(3)
    ]


def test_it_is_finished_on_the_hour_though_nothing_comes(tmp_path: Path) -> None:
    now = [1_800_000_000.0 - 10]
    with sink_to(tmp_path, rotate_seconds=3600.0, now=now) as sink:
        sink.deliver(records(1))
        now[0] += 9
        sink.rest()
        assert finished_in(tmp_path) == []
        now[0] += 2
        sink.rest()
        assert [seqs(path) for path in finished_in(tmp_path)] == [[1]]
        now[0] += 7200
        sink.rest()
        assert len(finished_in(tmp_path)) == 1, "an empty one is never finished"
        sink.deliver(records(2))
    assert seqs(tmp_path / "results.jsonl") == [2]


def test_finished_files_are_compressed_and_whole(tmp_path: Path) -> None:
    with sink_to(tmp_path, rotate_bytes=1, compress=True) as sink:
        for number in range(3):
            sink.deliver(records(number))
    [first, second] = finished_in(tmp_path)
    assert [first.suffix, second.suffix] == [".gz", ".gz"]
    assert seqs(first) + seqs(second) == [0, 1]
    assert list(tmp_path.glob(".*")) == []


def test_what_a_crash_left_uncompressed_is_compressed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "results-20260101T000000Z-0.jsonl").write_bytes(record(7).body + b"\n")
    with sink_to(tmp_path, compress=True):
        [path] = finished_in(tmp_path)
    assert (path.name, seqs(path)) == ("results-20260101T000000Z-0.jsonl.gz", [7])


@pytest.mark.parametrize(("files", "total", "left"), [(2, None, [2, 3]), (None, 100, [3]), (0, None, [])])
def test_the_oldest_go_and_nobody_elses(
    tmp_path: Path, files: int | None, total: int | None, left: list[int]
) -> None:
    others = [tmp_path / "results-mine.jsonl", tmp_path / "other-20260101T000000Z-0.jsonl"]
    for other in others:
        other.write_text("precious")
    with sink_to(tmp_path, rotate_bytes=1, keep_files=files, keep_bytes=total) as sink:
        for number in range(5):
            sink.deliver(records(number))
    kept = [path for path in finished_in(tmp_path) if path not in others]
    assert [seqs(path)[0] for path in kept] == left
    assert [other.read_text() for other in others] == ["precious", "precious"]


def test_one_file_has_one_sink(tmp_path: Path) -> None:
    with sink_to(tmp_path) as first:
        first.deliver(records(1))
        with pytest.raises(UsageError, match="is being written by another sink"), sink_to(tmp_path):
            pass
    with sink_to(tmp_path):
        pass


def test_places_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for place in (tmp_path / "file/below", tmp_path / "pipe.jsonl"):
        with pytest.raises(UsageError, match="choose another place"), sink_to(place):
            pass


FULL = """
import json, sys
from pathlib import Path
from facestream.errors import SinkUnavailable
from facestream_sinks.finished import Finished
from facestream_sinks.jsonl import JsonLinesSink
from support.records import records
folder = Path(sys.argv[1])
def finished(active):
    return Finished(active, compress=False, keep_files=None, keep_bytes=None)
sink = JsonLinesSink(folder, finished, rotate_bytes=1 << 30, rotate_seconds=None)
number = 0
try:
    while True:
        sink.deliver(records(number, number + 1, size=1000))
        number += 2
except SinkUnavailable as error:
    print(json.dumps([number, str(error)]), flush=True)
    sys.stdin.readline()
    sink.deliver(records(number, number + 1, size=1000))
    sink.close()
"""


def full_disk(folder: Path, *, limit: str = "") -> tuple[subprocess.Popen[str], int, str]:
    """A process that writes until nothing goes any more: it, the number it could not write, what it said."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", limit + FULL, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    number, error = json.loads(process.stdout.readline())
    return process, number, error


def test_a_full_disk_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    """On a small file system of its own, where root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(150_000))
        process, number, error = full_disk(disk)
        assert "No space left on device" in error
        assert "nothing is lost" in error
        assert seqs(disk / "results.jsonl") == list(range(number)), "no half line, no half batch"
        ballast.unlink()
        process.communicate("\n", timeout=30)
        assert process.returncode == 0
        assert seqs(disk / "results.jsonl") == list(range(number + 2))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_file_that_may_not_grow_keeps_whole_batches(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    process, number, error = full_disk(tmp_path, limit=limit)
    assert "File too large" in error
    assert number > 0
    assert seqs(tmp_path / "results.jsonl") == list(range(number))
    process.kill()
    process.communicate()


def test_a_folder_that_is_taken_away_is_waited_for(tmp_path: Path) -> None:
    folder, aside = tmp_path / "out", tmp_path / "aside"
    with sink_to(folder, rotate_bytes=1) as sink:
        sink.deliver(records(1))
        folder.rename(aside)
        with pytest.raises(SinkUnavailable, match="No such file"):
            sink.deliver(records(2))
        aside.rename(folder)
        sink.deliver(records(2))
        sink.deliver(records(3))
    assert [seqs(path) for path in [*finished_in(folder), folder / "results.jsonl"]] == [[1], [2], [3]]
