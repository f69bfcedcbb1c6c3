"""Every engine: the same answers, and one line for whatever they cannot run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ModelError, UsageError
from facestream_models import Analyser
from facestream_models.engine import open_session
from support.engines import every_engine, opened, require_here, tolerance
from support.networks import constant_network, sum_network, tint_network


@every_engine
@pytest.mark.parametrize(("batch", "fixed"), [("n", None), (1, 1), (4, 4)])
def test_a_network_runs_and_tells_its_fixed_batch(
    engine: str, batch: int | str, fixed: int | None, tmp_path: Path
) -> None:
    session = opened(tint_network(tmp_path / "tint.onnx", batch=batch), engine)
    pictures = np.arange(4 * 3 * 16 * 24, dtype=np.float32).reshape(4, 3, 16, 24)[: fixed or 4]

    [answer] = session.run(pictures)

    assert session.fixed_batch == fixed
    np.testing.assert_allclose(answer.reshape(-1, 3), pictures.mean(axis=(2, 3)), rtol=tolerance(engine))


@every_engine
def test_an_answer_outlives_the_next_run(engine: str, tmp_path: Path) -> None:
    session = opened(tint_network(tmp_path / "tint.onnx"), engine)
    ones, twos = (np.full((2, 3, 16, 24), value, np.float32) for value in (1, 2))

    [first] = session.run(ones)
    session.run(twos)

    np.testing.assert_allclose(first, 1)


@every_engine
@pytest.mark.parametrize("content", [b"", b"no network at all", bytes(range(256)) * 40])
def test_a_file_that_is_no_network_is_refused_in_one_line(
    engine: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    require_here(engine)
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"broken\.onnx is no network .* can run") as refusal:
        open_session(path, engine)

    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


@every_engine
def test_a_truncated_network_is_refused(engine: str, tmp_path: Path) -> None:
    require_here(engine)
    path = constant_network(tmp_path / "cut.onnx", [0.5, 0.5])
    path.write_bytes(path.read_bytes()[:-60])

    with pytest.raises(ModelError, match=r"cut\.onnx"):
        open_session(path, engine)


@every_engine
def test_an_absent_file_is_refused_with_what_to_do(engine: str, tmp_path: Path) -> None:
    require_here(engine)
    with pytest.raises(ModelError, match=r"there is no model file .*: run `facestream models pull`"):
        open_session(tmp_path / "absent.onnx", engine)


@every_engine
def test_a_network_of_two_inputs_is_refused(engine: str, tmp_path: Path) -> None:
    require_here(engine)
    with pytest.raises(ModelError, match="takes 2 inputs"):
        open_session(sum_network(tmp_path / "sum.onnx"), engine)


@every_engine
def test_a_network_without_the_outputs_wanted_is_refused(engine: str, tmp_path: Path) -> None:
    require_here(engine)
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
    with pytest.raises(UsageError, match="'tensorflow': choose auto, openvino-bf16 or"):
        open_session(tmp_path / "any.onnx", "tensorflow")


def test_computing_leaves_the_callers_floating_point_as_it_was() -> None:
    """Flushing tiny numbers to zero gained nothing measurable, and changes arithmetic on that thread."""
    smallest = np.array([5e-324])
    Analyser()(np.zeros((64, 64, 3), np.uint8))
    assert (smallest * 1.0)[0] > 0


@pytest.mark.parametrize("engine", ["openvino", "openvino-bf16"])
def test_a_size_that_keeps_coming_is_compiled_for_and_the_answers_stay(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_here(engine)
    from facestream_models import openvino_session

    monkeypatch.setattr(openvino_session, "WORTH_COMPILING", 2)
    monkeypatch.setattr(openvino_session, "MOST_COMPILED", 1)
    session = opened(tint_network(tmp_path / "tint.onnx"), engine)
    assert isinstance(session, openvino_session.OpenVinoSession)
    for turn in range(4):
        for n in (1, 2):
            pictures = np.full((n, 3, 16, 24), turn + n, np.float32)
            [answer] = session.run(pictures)
            np.testing.assert_allclose(answer.reshape(n, 3), turn + n, rtol=tolerance(engine))

    assert list(session._sized) == [(1, 3, 16, 24)]
