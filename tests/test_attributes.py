"""Classifiers as a catalogue describes them, the user's own among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facestream.errors import ModelError
from facestream_models import Analyser, Estimates, Labels
from facestream_models.attributes import CHIPS_PER_RUN, Classifier
from facestream_models.catalogue import Model, load_catalogue
from facestream_models.engine import open_session
from facestream_models.model import Input, Output
from support.engines import every_engine, opened, tolerance
from support.networks import constant_network, sha256_of, tint_network
from support.portraits import mirrored, portrait, weights

TINTS = ("blue", "green", "red")


def tint_model(**changes: Any) -> Model:
    """A classifier of 24x16 chips whose answer is the mean of each channel; changes are to its input."""
    contract = Input(24, 16, 1, "BGR", (0.0, 0.0, 0.0), (1 / 255,) * 3, "NCHW", 0.2)
    return replace(
        load_catalogue().for_role("gender"),
        name="tint",
        role="tint",
        input=replace(contract, **changes),
        output=Output("labels", labels=TINTS),
    )


def constant_model(output: Output) -> Model:
    return replace(tint_model(width=8, height=8), output=output)


def chips_of(*colours: tuple[int, int, int], width: int = 24, height: int = 16) -> np.ndarray:
    return np.stack([np.full((height, width, 3), colour, np.uint8) for colour in colours])


def certain(n: int) -> np.ndarray:
    return np.ones(n, np.bool_)


def labels_of(classifier: Classifier, chips: np.ndarray) -> Labels:
    answer = classifier.classify(chips, certain(len(chips)))
    assert isinstance(answer, Labels)
    return answer


@every_engine
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", ["BGR", "RGB"])
def test_channels_enter_in_the_order_and_layout_of_the_catalogue(
    engine: str, layout: str, channels: str, tmp_path: Path
) -> None:
    session = opened(tint_network(tmp_path / "tint.onnx", layout=layout), engine)
    classifier = Classifier(tint_model(layout=layout, channels=channels), session)

    answer = labels_of(classifier, chips_of((250, 20, 10), (20, 250, 10), (10, 20, 250)))

    assert answer.labels == (TINTS if channels == "BGR" else TINTS[::-1])
    np.testing.assert_allclose(answer.scores, 250 / 255, rtol=tolerance(engine))


def test_mean_and_scale_go_with_their_channels(tmp_path: Path) -> None:
    session = open_session(tint_network(tmp_path / "tint.onnx"))
    model = tint_model(channels="RGB", mean=(10.0, 20.0, 30.0), scale=(0.001, 0.002, 0.004))

    answer = labels_of(Classifier(model, session), chips_of((130, 0, 0), (0, 120, 0), (0, 0, 110)))

    # Channels are red, green, blue here, and the labels still in the order of the network's answer.
    assert answer.labels == ("red", "green", "blue")
    np.testing.assert_allclose(answer.scores, (0.4, 0.2, 0.1), rtol=1e-5)


@every_engine
@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_many_chips_go_in_runs_the_network_takes(engine: str, batch: int | str, tmp_path: Path) -> None:
    session = opened(tint_network(tmp_path / "tint.onnx", batch=batch), engine)
    shades = np.arange(2 * CHIPS_PER_RUN + 3) * 4 % 200 + 20

    answer = labels_of(Classifier(tint_model(), session), chips_of(*[(0, int(shade), 0) for shade in shades]))

    assert answer.labels == ("green",) * len(shades)
    np.testing.assert_allclose(answer.scores, shades / 255, rtol=tolerance(engine))


def test_uncertain_and_unfit_faces_are_unknown_with_their_score(tmp_path: Path) -> None:
    classifier = Classifier(
        tint_model(), open_session(tint_network(tmp_path / "tint.onnx")), min_confidence=0.5
    )
    chips = chips_of((0, 0, 200), (0, 0, 90), (0, 0, 200))

    answer = classifier.classify(chips, np.array([True, True, False]))

    assert isinstance(answer, Labels)
    assert answer.labels == ("red", "unknown", "unknown")
    np.testing.assert_allclose(answer.scores, np.array([200, 90, 200]) / 255, rtol=1e-5)


def test_a_network_without_softmax_is_given_one(tmp_path: Path) -> None:
    session = open_session(constant_network(tmp_path / "raw.onnx", [1000.0, 1001.0]))
    model = constant_model(Output("labels", labels=("cat", "dog"), activation="softmax"))

    answer = labels_of(Classifier(model, session), chips_of((1, 2, 3), width=8, height=8))

    assert answer.labels == ("dog",)
    assert answer.scores[0] == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-5)


def test_an_age_is_the_expectation_and_its_score_the_probability_nearby(tmp_path: Path) -> None:
    session = open_session(constant_network(tmp_path / "age.onnx", [0.1, 0.2, 0.6, 0.1]))
    model = constant_model(Output("age-distribution", years=(20.0, 30.0, 34.0, 80.0)))

    answer = Classifier(model, session).classify(
        chips_of((0, 0, 0), (9, 9, 9), width=8, height=8), np.array([True, False])
    )

    assert isinstance(answer, Estimates)
    assert answer.years[0] == pytest.approx(0.1 * 20 + 0.2 * 30 + 0.6 * 34 + 0.1 * 80)
    assert np.isnan(answer.years[1])
    np.testing.assert_allclose(answer.scores, 0.6, rtol=1e-5)


def test_an_answer_that_is_no_number_is_unknown(tmp_path: Path) -> None:
    session = open_session(constant_network(tmp_path / "nan.onnx", [np.nan, np.nan]))
    chips = chips_of((0, 0, 0), width=8, height=8)

    labels = Classifier(constant_model(Output("labels", labels=("cat", "dog"))), session, min_confidence=0.1)
    years = Classifier(constant_model(Output("age-distribution", years=(1.0, 2.0))), session)

    assert labels.classify(chips, certain(1)).to_map(0) == {"label": "unknown", "score": 0.0}
    assert years.classify(chips, certain(1)).to_map(0) == {"years": None, "score": 0.0}


def test_no_chips_have_an_empty_answer(tmp_path: Path) -> None:
    classifier = Classifier(tint_model(), open_session(tint_network(tmp_path / "tint.onnx")))

    assert len(classifier.classify(np.empty((0, 16, 24, 3), np.uint8), certain(0))) == 0


@every_engine
def test_a_network_that_does_not_fit_the_catalogue_is_refused_at_once(engine: str, tmp_path: Path) -> None:
    session = opened(tint_network(tmp_path / "tint.onnx"), engine)
    two_labels = replace(tint_model(), output=Output("labels", labels=("yes", "no")))

    with pytest.raises(
        ModelError, match=r"tint answers 1 faces .* \(1, 3\), but its catalogue entry names 2 classes"
    ):
        Classifier(two_labels, session)


def test_chips_of_a_size_the_network_does_not_take_are_refused_at_once(tmp_path: Path) -> None:
    session = open_session(tint_network(tmp_path / "tint.onnx", width=24, height=16))

    with pytest.raises(ModelError, match=r"refused an input of shape \(1, 3, 99, 24\)"):
        Classifier(tint_model(height=99), session)


def test_a_users_own_classifier_works_by_its_catalogue_alone(tmp_path: Path) -> None:
    network = tint_network(tmp_path / "tint.onnx", batch=1, layout="NHWC")
    catalogue = tmp_path / "mine.toml"
    catalogue.write_text(
        f"""
        [[model]]
        name = "my-tint"
        role = "tint"
        licence = "CC0-1.0"
        sha256 = "{sha256_of(network)}"
        bytes = {network.stat().st_size}
        [model.input]
        size = [24, 16]
        channels = "RGB"
        layout = "NHWC"
        scale = 0.003
        chip_padding = 0.0
        [model.output]
        kind = "labels"
        labels = ["red", "green", "blue"]
        [[model.sources]]
        kind = "file"
        path = "tint.onnx"
        """,
        encoding="utf-8",
    )
    red, green = portrait("astronaut.png"), mirrored(portrait("astronaut.png"))
    green[..., [0, 2]] //= 2
    analyser = Analyser(
        ("tint", "gender"), weights=weights(), catalogue=load_catalogue(catalogue), min_confidence=0.1
    )

    first, second = analyser.analyse([red, green])

    assert list(analyser.models) == ["detector", "tint", "gender"]
    assert analyser.models["tint"] == f"my-tint@{sha256_of(network)[:8]}"
    assert [faces.to_maps()[0]["attributes"]["tint"]["label"] for faces in (first, second)] == [
        "red",
        "green",
    ]
    assert [faces.to_maps()[0]["attributes"]["gender"]["label"] for faces in (first, second)] == [
        "female"
    ] * 2
