"""Both engines: the same answers, and one line for whatever they cannot run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ModelError, UsageError
from facestream_models import Analyser
from facestream_models.engine import ENGINES, open_session
from support.networks import constant_network, sum_network, tint_network

both_engines = pytest.mark.parametrize("engine", ENGINES)


@both_engines
@pytest.mark.parametrize(("batch", "fixed"), [("n", None), (1, 1), (4, 4)])
def test_a_network_runs_and_tells_its_fixed_batch(
    engine: str, batch: int | str, fixed: int | None, tmp_path: Path
) -> None:
    session = open_session(tint_network(tmp_path / "tint.onnx", batch=batch), engine)
    pictures = np.arange(4 * 3 * 16 * 24, dtype=np.float32).reshape(4, 3, 16, 24)[: fixed or 4]

    [answer] = session.run(pictures)

    assert session.fixed_batch == fixed
    np.testing.assert_allclose(answer.reshape(-1, 3), pictures.mean(axis=(2, 3)), rtol=1e-5)


@both_engines
def test_an_answer_outlives_the_next_run(engine: str, tmp_path: Path) -> None:
    session = open_session(tint_network(tmp_path / "tint.onnx"), engine)
    ones, twos = (np.full((2, 3, 16, 24), value, np.float32) for value in (1, 2))

    [first] = session.run(ones)
    session.run(twos)

    np.testing.assert_allclose(first, 1)


@both_engines
@pytest.mark.parametrize("content", [b"", b"no network at all", bytes(range(256)) * 40])
def test_a_file_that_is_no_network_is_refused_in_one_line(
    engine: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"broken\.onnx is no network .* can run") as refusal:
        open_session(path, engine)

    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


@both_engines
def test_a_truncated_network_is_refused(engine: str, tmp_path: Path) -> None:
    path = constant_network(tmp_path / "cut.onnx", [0.5, 0.5])
    path.write_bytes(path.read_bytes()[:-60])

    with pytest.raises(ModelError, match=r"cut\.onnx"):
        open_session(path, engine)


@both_engines
def test_an_absent_file_is_refused_with_what_to_do(engine: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model file .*: run `facestream models pull`"):
        open_session(tmp_path / "absent.onnx", engine)


@both_engines
def test_a_network_of_two_inputs_is_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes 2 inputs"):
        open_session(sum_network(tmp_path / "sum.onnx"), engine)


@both_engines
def test_a_network_without_the_outputs_wanted_is_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no output cls_8, only answer"):
        open_session(tint_network(tmp_path / "tint.onnx"), engine, ("answer", "cls_8"))


def test_a_batch_of_the_wrong_shape_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = open_session(tint_network(tmp_path / "tint.onnx"))

    with pytest.raises(ModelError, match=r"refused an input of shape \(1, 7\)") as refusal:
        session.run(np.zeros((1, 7), np.float32))

    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_engine_is_refused_with_the_ones_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'tensorflow': choose onnxruntime or opencv"):
        open_session(tmp_path / "any.onnx", "tensorflow")


def test_computing_leaves_the_callers_floating_point_as_it_was() -> None:
    """Flushing tiny numbers to zero gained nothing measurable, and changes arithmetic on that thread."""
    smallest = np.array([5e-324])
    Analyser()(np.zeros((64, 64, 3), np.uint8))
    assert (smallest * 1.0)[0] > 0
