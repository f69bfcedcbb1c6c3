"""Pulling weights from a real HTTP server, well or badly behaved, alone or many at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from facestream.errors import ModelError
from facestream_models.catalogue import UrlSource
from facestream_models.store import Pulled, WeightsStore
from support.weights import CONTENT, model_of, only_file
from support.weights_server import Behaviour, serving


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    return WeightsStore(tmp_path / "weights")


def pull_from(store: WeightsStore, behaviour: Behaviour) -> Pulled:
    with serving(behaviour) as url:
        return store.pull(model_of(UrlSource(url)))


def leave_part(store: WeightsStore, content: bytes) -> Path:
    """What an earlier, killed pull left."""
    model = model_of()
    store.folder.mkdir(parents=True)
    part = store.folder / f".{model.name}-{model.sha256[:8]}.part"
    part.write_bytes(content)
    return part


def test_a_whole_answer(store: WeightsStore) -> None:
    behaviour = Behaviour(CONTENT)

    assert pull_from(store, behaviour).path.read_bytes() == only_file(store) == CONTENT
    assert behaviour.asked == [None]


def test_a_download_goes_on_where_an_earlier_process_stopped(store: WeightsStore) -> None:
    leave_part(store, CONTENT[:300_000])
    behaviour = Behaviour(CONTENT)

    pull_from(store, behaviour)

    assert only_file(store) == CONTENT
    assert behaviour.asked == ["bytes=300000-"]
    assert behaviour.sent_bytes == len(CONTENT) - 300_000


def test_a_connection_that_breaks_off_is_continued(store: WeightsStore) -> None:
    behaviour = Behaviour(CONTENT, break_after=[400_000, 100_000])

    pull_from(store, behaviour)

    assert only_file(store) == CONTENT
    assert behaviour.asked == [None, "bytes=400000-", "bytes=500000-"]


def test_a_server_that_gives_nothing_more_is_given_up_and_the_rest_kept(store: WeightsStore) -> None:
    behaviour = Behaviour(CONTENT, break_after=[400_000, 0])

    with pytest.raises(ModelError, match="the connection broke off: 400000 of 700001 bytes came"):
        pull_from(store, behaviour)

    assert only_file(store) == CONTENT[:400_000]
    pull_from(store, Behaviour(CONTENT))
    assert only_file(store) == CONTENT


def test_a_server_without_ranges_starts_again(store: WeightsStore) -> None:
    leave_part(store, CONTENT[:300_000])

    pull_from(store, Behaviour(CONTENT, ranges=False))

    assert only_file(store) == CONTENT


@pytest.mark.parametrize("left", [CONTENT[:1000][::-1], CONTENT[::-1], CONTENT + b"and more"])
def test_a_part_of_something_else_is_thrown_away(store: WeightsStore, left: bytes) -> None:
    leave_part(store, left)

    pull_from(store, Behaviour(CONTENT))

    assert only_file(store) == CONTENT


def test_a_part_longer_than_what_the_server_has_is_thrown_away(store: WeightsStore) -> None:
    leave_part(store, CONTENT[:300_000])

    with pytest.raises(ModelError, match="the connection broke off: 1000 of 700001 bytes came"):
        pull_from(store, Behaviour(CONTENT[:1000]))


def test_a_server_that_never_ends_is_left(store: WeightsStore) -> None:
    behaviour = Behaviour(CONTENT, endless=True)

    with pytest.raises(ModelError, match="it holds more bytes where the catalogue says 700001"):
        pull_from(store, behaviour)

    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_other_bytes_are_refused_and_not_kept(store: WeightsStore) -> None:
    with pytest.raises(ModelError, match="its sha256 is"):
        pull_from(store, Behaviour(CONTENT[::-1]))

    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_an_answer_that_is_no_file_is_passed_on(store: WeightsStore) -> None:
    with pytest.raises(ModelError, match="the server answers 404 Not Found"):
        pull_from(store, Behaviour(CONTENT, status=404))


PULL = """
import sys
from pathlib import Path
from facestream_models.catalogue import UrlSource
from facestream_models.store import WeightsStore
from support.weights import model_of

print("ready", flush=True)
sys.stdin.readline()
pulled = WeightsStore(Path(sys.argv[1])).pull(model_of(UrlSource(sys.argv[2])))
print("already" if pulled.source is None else "fetched")
"""


@pytest.fixture
def pullers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_processes_that_pull_at_once_fetch_once(
    store: WeightsStore, pullers: list[subprocess.Popen[str]]
) -> None:
    behaviour = Behaviour(CONTENT, together=threading.Barrier(2, timeout=1.0))
    with serving(behaviour) as url:
        command = [sys.executable, "-c", PULL, str(store.folder), url]
        pipe, here = subprocess.PIPE, Path(__file__).parent
        pullers += [subprocess.Popen(command, cwd=here, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
        for process in pullers:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in pullers:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = sorted(process.communicate()[0].strip() for process in pullers)

    assert said == ["already", "already", "fetched"]
    assert behaviour.asked == [None]
    assert only_file(store) == CONTENT


def test_what_a_killed_process_left_is_cleared(store: WeightsStore) -> None:
    store.folder.mkdir()
    (store.folder / ".made-up.onnx.abc.tmp").write_bytes(b"half")

    pull_from(store, Behaviour(CONTENT))

    assert only_file(store) == CONTENT
