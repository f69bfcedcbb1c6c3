"""The engine that is chosen where none is asked for, and the gate its answers pass."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ModelError
from facestream_models import Analyser, Faces
from facestream_models.catalogue import load_catalogue
from facestream_models.engine_choice import VERDICTS, choose_engine
from facestream_models.faces import UNKNOWN, Labels
from facestream_models.gate import Agreement, _count, compare, pictures
from facestream_models.store import WeightsStore
from support.engines import require_here
from support.portraits import make_analyser, weights


@pytest.fixture
def copied(tmp_path: Path) -> WeightsStore:
    """A store of its own, with the models and no verdicts."""
    store = WeightsStore(tmp_path / "weights")
    shutil.copytree(weights().folder, store.folder, ignore=shutil.ignore_patterns(VERDICTS, ".*"))
    return store


def two_faces(labels: tuple[str, str] = ("female", "male"), probability: float = 0.9) -> Faces:
    boxes = np.array([[10, 10, 40, 50], [100, 10, 40, 50]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    answer = Labels(labels, np.full(2, probability, np.float32))
    return Faces(boxes, scores, np.zeros((2, 5, 2), np.float32), {"gender": answer})


def agreement_of(exact: Faces, other: Faces) -> Agreement:
    agreement = Agreement()
    _count(agreement, exact, other)
    return agreement


def test_an_engine_agrees_with_itself() -> None:
    agreement = compare(make_analyser(), make_analyser())

    assert agreement.holds
    assert agreement.faces >= 24
    assert (agreement.overlap, agreement.score, agreement.probabilities) == (pytest.approx(1), 0, 0)


def test_the_gates_pictures_hold_large_and_small_faces() -> None:
    heights = np.concatenate([make_analyser(())(picture).boxes[:, 3] for picture in pictures()])

    assert heights.min() < 30
    assert heights.max() > 200


def test_faces_that_change_places_are_the_same() -> None:
    exact = two_faces()
    order = [1, 0]
    turned = Faces(
        exact.boxes[order],
        exact.scores[order],
        exact.landmarks[order],
        {"gender": Labels(("male", "female"), np.full(2, 0.9, np.float32))},
    )

    assert agreement_of(exact, turned).overlap == pytest.approx(1)
    assert agreement_of(exact, turned).holds


@pytest.mark.parametrize(
    "other",
    [
        Faces.empty(),
        replace(two_faces(), boxes=two_faces().boxes + np.float32(12)),
        replace(two_faces(), scores=two_faces().scores - np.float32(0.1)),
        two_faces(("male", "male")),
        two_faces(probability=0.75),
    ],
)
def test_what_differs_too_much_does_not_pass(other: Faces) -> None:
    assert not agreement_of(two_faces(), other).holds


def test_a_face_one_of_both_does_not_label_is_no_turned_label() -> None:
    assert agreement_of(two_faces(), two_faces(("female", UNKNOWN))).holds


def test_the_fast_engine_is_chosen_where_it_agrees_and_that_is_remembered(copied: WeightsStore) -> None:
    require_here("openvino-bf16")
    catalogue = load_catalogue()
    models = [catalogue.for_role(role) for role in ("detector", "gender")]

    first = choose_engine(models, copied, catalogue)

    assert first.engine == "openvino-bf16"
    assert "0 labels turned" in first.reason
    file = copied.folder / VERDICTS
    [(key, verdict)] = json.loads(file.read_text()).items()
    assert verdict[0] is True
    file.write_text(json.dumps({key: [False, "seen before"]}))
    again = choose_engine(models, copied, catalogue)
    assert (again.engine, again.reason) == ("onnxruntime", "bfloat16 disagrees: seen before")
    # Of other models nothing is known yet.
    choose_engine([*models, catalogue.for_role("age")], copied, catalogue)
    assert len(json.loads(file.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[1]", '{"x": 1}', "\x00", "[" * 100_000])
def test_a_broken_file_of_verdicts_is_made_anew(copied: WeightsStore, content: str) -> None:
    require_here("openvino-bf16")
    (copied.folder / VERDICTS).write_text(content)

    assert Analyser((), weights=copied).engine == "openvino-bf16"
    assert len(json.loads((copied.folder / VERDICTS).read_text())) == 1


def test_an_engine_asked_for_is_the_one_that_runs() -> None:
    analyser = make_analyser(engine="opencv")

    assert (analyser.engine, analyser.engine_reason) == ("opencv", "asked for")


def test_cuda_without_a_gpu_is_refused_in_one_line() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is a GPU here")
    with pytest.raises(ModelError, match="has no CUDAExecutionProvider here: install onnxruntime-gpu"):
        make_analyser(engine="cuda")
