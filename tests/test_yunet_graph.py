"""YuNet freed of its size: the same numbers, for any picture and any batch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from facestream.errors import WeightsCorrupt
from facestream_models.catalogue import load_catalogue
from facestream_models.store import Pulled, WeightsStore
from facestream_models.yunet_graph import any_size
from support.weights import CONTENT, pull_or_skip


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> tuple[WeightsStore, list[Pulled]]:
    store = WeightsStore(tmp_path_factory.mktemp("real") / "weights")
    return store, pull_or_skip(store, load_catalogue())


def run(path: Path, pictures: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": pictures}), strict=True))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """(2, 3, 640, 640) float32: smooth noise, which excites every layer."""
    small = np.random.default_rng(3).integers(0, 256, (2, 40, 40, 3), np.uint8)
    large = [cv2.resize(picture, (640, 640), interpolation=cv2.INTER_CUBIC) for picture in small]
    return np.stack(large).transpose(0, 3, 1, 2).astype(np.float32)


def test_the_derived_detector_computes_what_the_published_one_does(
    pulled: tuple[WeightsStore, list[Pulled]], pictures: np.ndarray
) -> None:
    store, _ = pulled
    detector = load_catalogue().for_role("detector")

    published = run(store.path(detector), pictures[:1])
    derived = run(store.derived(detector), pictures[:1])

    assert list(derived) == ["head_8", "head_16", "head_32"]
    for stride in (8, 16, 32):
        head = derived[f"head_{stride}"].reshape(1, 16, -1).transpose(0, 2, 1)
        scores = 1 / (1 + np.exp(-head[..., :2]))
        joined = np.concatenate([scores, head[..., 2:]], axis=2)
        expected = np.concatenate(
            [published[f"{name}_{stride}"] for name in ("cls", "obj", "bbox", "kps")], axis=2
        )
        np.testing.assert_allclose(joined, expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(640, 640), (384, 640), (32, 64)])
def test_the_derived_detector_takes_any_size_and_batch(
    pulled: tuple[WeightsStore, list[Pulled]], pictures: np.ndarray, height: int, width: int
) -> None:
    store, _ = pulled
    path = store.derived(load_catalogue().for_role("detector"))
    cut = np.ascontiguousarray(pictures[:, :, :height, :width])

    both, first, second = run(path, cut), run(path, cut[:1]), run(path, cut[1:])

    assert len(both) == 3
    for name, answer in both.items():
        stride = int(name.rpartition("_")[2])
        assert answer.shape == (2, 16, height // stride, width // stride)
        np.testing.assert_allclose(answer, np.concatenate([first[name], second[name]]), atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no network at all", CONTENT[:5000]])
def test_what_is_no_yunet_is_not_freed_of_its_size(content: bytes) -> None:
    with pytest.raises(WeightsCorrupt, match="these weights are no YuNet"):
        any_size(content)


def test_another_network_is_not_freed_of_its_size(pulled: tuple[WeightsStore, list[Pulled]]) -> None:
    gender = pulled[0].path(load_catalogue().for_role("gender")).read_bytes()

    with pytest.raises(WeightsCorrupt, match="these weights are no YuNet"):
        any_size(gender)
