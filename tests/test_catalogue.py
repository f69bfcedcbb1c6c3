"""The catalogue: what is built in, what a user adds, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facestream.errors import CatalogueError
from facestream_models.catalogue import FileSource, UrlSource, WheelSource, load_catalogue

OWN = """
[[model]]
name = "smile-v1"
role = "smile"
licence = "mine"
sha256 = "{digest}"
bytes = 1234

[model.input]
size = [96, 112]
channels = "RGB"
mean = 127.5
scale = [0.5, 0.25, 0.125]
chip_padding = 0.1
layout = "NHWC"

[model.output]
kind = "labels"
labels = ["neutral", "smiling"]
activation = "softmax"

[[model.sources]]
kind = "file"
path = "weights/smile.onnx"
""".format(digest="ab" * 32)


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _no_catalogue_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACESTREAM_CATALOGUE", raising=False)


def test_the_built_in_models_are_these_bytes() -> None:
    catalogue = load_catalogue()

    assert {model.role: model.ident for model in catalogue} == {
        "detector": "yunet-2023mar@8f2383e4",
        "gender": "dlib-gender-v1@d4c4116c",
        "age": "dlib-age-v1@4f9f0075",
    }
    assert catalogue.roles == ("detector", "gender", "age")


def test_a_built_in_classifier_says_how_its_chips_are_made() -> None:
    gender = load_catalogue().for_role("gender")

    assert (gender.input.width, gender.input.height, gender.input.channels) == (32, 32, "RGB")
    assert gender.input.mean == (122.782, 117.001, 104.298)
    assert gender.input.scale == (1 / 256, 1 / 256, 1 / 256)
    assert gender.input.chip_padding == 0.2
    assert gender.labels == ("female", "male")


def test_age_runs_over_81_ages() -> None:
    years = load_catalogue().for_role("age").output.years

    assert len(years) == 81
    assert years[:2] + years[-1:] == (0.25, 1.0, 80.0)


def test_every_built_in_model_has_a_wheel_and_an_address() -> None:
    for model in load_catalogue():
        assert [type(source) for source in model.sources] == [WheelSource, UrlSource]


def test_a_user_adds_a_model_of_a_new_role(tmp_path: Path) -> None:
    smile = load_catalogue(write(tmp_path, OWN)).for_role("smile")

    assert smile.ident == "smile-v1@abababab"
    assert (smile.input.width, smile.input.height, smile.input.layout) == (96, 112, "NHWC")
    assert smile.input.mean == (127.5, 127.5, 127.5)
    assert smile.input.scale == (0.5, 0.25, 0.125)
    assert smile.output.activation == "softmax"
    assert smile.sources == (FileSource(tmp_path / "weights" / "smile.onnx"),)


def test_the_variable_names_the_users_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_CATALOGUE", str(write(tmp_path, OWN)))

    assert "smile" in load_catalogue().roles


def test_a_users_model_takes_a_role_over_only_when_marked_default(tmp_path: Path) -> None:
    rival = OWN.replace('role = "smile"', 'role = "gender"')
    assert load_catalogue(write(tmp_path, rival)).for_role("gender").name == "dlib-gender-v1"

    marked = rival.replace('licence = "mine"', 'licence = "mine"\ndefault = true')
    assert load_catalogue(write(tmp_path, marked)).for_role("gender").name == "smile-v1"


def test_a_name_or_role_that_is_not_there_names_the_nearest() -> None:
    catalogue = load_catalogue()

    with pytest.raises(CatalogueError, match="did you mean 'dlib-gender-v1'"):
        catalogue.get("dlib-gender-v2")
    with pytest.raises(CatalogueError, match="there are detector, gender, age"):
        catalogue.for_role("zodiac")


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("labels = [", "lables = [", "model 'smile-v1', output: labels is missing: is 'lables' meant"),
        (
            'licence = "mine"',
            'licence = "mine"\nlicense = "x"',
            "unknown key 'license': did you mean",
        ),
        ('kind = "file"', 'kind = "file"\nurl = "x"', "sources 1: unknown key 'url': there are kind, path"),
        ('kind = "file"', 'kind = "torrent"', "sources 1: kind must be one of wheel, url, file"),
        ("ab" * 32, "AB" * 32, "sha256 must be 64 hexadecimal digits"),
        ("bytes = 1234", "bytes = 0", "bytes must be a whole number from 1"),
        ("bytes = 1234", "bytes = true", "bytes must be a whole number"),
        ('name = "smile-v1"', 'name = "../smile"', "name must be small letters"),
        ('name = "smile-v1"', 'name = "dlib-age-v1"', "two models are called 'dlib-age-v1'"),
        ('name = "smile-v1"', 'role2 = "x"', "model 1: name is missing"),
        ("size = [96, 112]", "size = [96]", "size must be a side"),
        ("size = [96, 112]", 'size = "any"', "input must say the size of a face chip"),
        ("chip_padding = 0.1\n", "", "input must say chip_padding"),
        ("chip_padding = 0.1", "chip_padding = nan", "chip_padding must be a number from 0 to 2"),
        ("mean = 127.5", "mean = [1, 2]", "mean must be one number, or three"),
        ("mean = 127.5", "mean = inf", "mean must be one number, or three"),
        ('"neutral", "smiling"', '"smiling", "smiling"', "labels must be two or more different words"),
        ('"neutral", "smiling"', '"unknown", "smiling"', "labels must be .* not 'unknown'"),
        ('role = "smile"', 'role = "detector"', "output of kind 'labels' does not fit the role 'detector'"),
        ('kind = "labels"\nlabels', 'kind = "yunet"\nlabels', "unknown key 'labels'"),
        ("[[model.sources]]", "[[model.source]]", "unknown key 'source': did you mean 'sources'"),
        ("model", "models", "unknown key 'models': did you mean 'model'"),
        ('path = "weights/smile.onnx"', "path = 7", "path must be a text"),
        ("[[model]]", "[[model]", "is not TOML"),
        (OWN, "", r"holds no \[\[model\]\]"),
        (OWN, "model = 3", r"must be written as \[\[model\]\]"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    assert right in OWN

    with pytest.raises(CatalogueError, match=complaint) as told:
        load_catalogue(write(tmp_path, OWN.replace(right, wrong)))

    assert "mine.toml" in str(told.value) or "two models" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('kind = "url"\nurl = "ftp://host/x"', "url must be an http or https address"),
        ('kind = "url"\nurl = "https://me:secret@host/x"', "url must not carry a user or a password"),
        (
            'kind = "wheel"\nrequirement = "--index-url=x"\nwheel_sha256 = "{digest}"\nmember = "x"',
            "requirement must be a pinned requirement",
        ),
        (
            'kind = "wheel"\nrequirement = "x>=1"\nwheel_sha256 = "{digest}"\nmember = "x"',
            "requirement must be a pinned requirement",
        ),
    ],
)
def test_a_source_that_cannot_be_trusted_is_refused(tmp_path: Path, source: str, complaint: str) -> None:
    text = OWN.replace('kind = "file"\npath = "weights/smile.onnx"', source.replace("{digest}", "ab" * 32))

    with pytest.raises(CatalogueError, match=complaint) as told:
        load_catalogue(write(tmp_path, text))

    assert "secret" not in str(told.value)


def test_a_catalogue_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=re.escape(str(tmp_path / "none.toml"))):
        load_catalogue(tmp_path / "none.toml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(CatalogueError, match="is not TOML"):
        load_catalogue(path)
