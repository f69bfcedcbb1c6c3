"""`facestream classify` as a user meets it: tables, JSON, drawn pictures, and what it says of bad files."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facestream.commands.app import build_app, run
from facestream.contract import ResultMap
from facestream_models.catalogue import load_catalogue
from facestream_models.images import read_image
from facestream_models.store import WeightsStore
from support.pictures import KINDS, as_pillow, encoded, picture_bytes, turned_bytes
from support.weights_server import Behaviour, serving

PORTRAITS = Path(str(files("facestream_models"))) / "portraits"
ASTRONAUT, LUIS = PORTRAITS / "astronaut.png", PORTRAITS / "luispedro.jpg"
FIELDS = set(ResultMap.__annotations__)


def facestream(*arguments: object) -> int:
    return run(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def results(capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs the command with --json: its results, its lines on stderr and its exit status."""

    def classified(*arguments: object) -> tuple[list[dict[str, Any]], list[str], int]:
        status = facestream("classify", "--json", *arguments)
        captured = capfd.readouterr()
        return [json.loads(line) for line in captured.out.splitlines()], captured.err.splitlines(), status

    return classified


def overlap(one: list[float], other: list[float]) -> float:
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[0] + one[2], other[0] + other[2]), min(one[1] + one[3], other[1] + other[3])
    shared = max(right - left, 0) * max(bottom - top, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def gender(result: dict[str, Any]) -> str:
    [found] = result["faces"]
    return str(found["attributes"]["gender"]["label"])


def test_a_face_is_found_in_every_kind_of_file_and_whichever_way_it_is_stored(
    tmp_path: Path, results: Any
) -> None:
    portrait = read_image(ASTRONAUT)
    for kind in KINDS:
        (tmp_path / f"plain.{kind}").write_bytes(picture_bytes(kind, portrait))
    for orientation in range(1, 9):
        (tmp_path / f"turned{orientation}.jpg").write_bytes(turned_bytes("jpg", orientation, portrait))
    for kind in ("png", "webp", "tif", "avif"):
        (tmp_path / f"turned.{kind}").write_bytes(turned_bytes(kind, 6, portrait))
    (tmp_path / "cmyk.jpg").write_bytes(encoded(as_pillow(portrait).convert("CMYK"), "jpg"))
    (tmp_path / "grey.png").write_bytes(encoded(as_pillow(portrait).convert("L"), "png"))
    (tmp_path / "alpha.webp").write_bytes(encoded(as_pillow(portrait).convert("RGBA"), "webp"))
    cv2.imwrite(str(tmp_path / "deep.png"), portrait.astype(np.uint16) * 257)

    [reference], _, _ = results(ASTRONAUT)
    found, errors, status = results(tmp_path)
    assert (errors, status) == ([], 0)
    assert len(found) == len(KINDS) + 8 + 4 + 4
    for result in found:
        assert (result["width"], result["height"]) == (512, 512)
        assert gender(result) == "female", result["source"]
        assert overlap(result["faces"][0]["box"], reference["faces"][0]["box"]) > 0.85, result["source"]


def test_json_is_the_contract(results: Any) -> None:
    [first, second, again], errors, status = results(ASTRONAUT, LUIS, ASTRONAUT)
    assert (errors, status) == ([], 0)
    for result in (first, second, again):
        assert set(result) == FIELDS
        assert (result["v"], result["epoch"], result["seq"], result["pts_us"]) == (1, 0, 0, 0)
        assert (result["clock"], result["worker"]) == ("file", "classify")
        assert result["captured_at_us"] < result["completed_at_us"]
        assert set(result["timings_ms"]) == {"decode", "detect", "align", "classify"}
        assert set(result["models"]) == {"detector", "gender"}
        assert result["region"] == [0, 0, result["width"], result["height"]]
        assert (result["source_width"], result["source_height"]) == (result["width"], result["height"])
    assert first["captured_at_us"] == ASTRONAUT.stat().st_mtime_ns // 1000
    assert [result["camera"] for result in (first, second, again)] == [
        "astronaut",
        "luispedro",
        "astronaut-2",
    ]
    assert [result["source"] for result in (first, second)] == ["astronaut.png", "luispedro.jpg"]
    assert [gender(result) for result in (first, second)] == ["female", "male"]
    [face] = second["faces"]
    assert set(face) == {"box", "score", "landmarks", "attributes"}
    assert np.array(face["landmarks"]).shape == (5, 2)


def test_a_folder_is_one_camera_and_what_fails_leaves_no_gap(
    tmp_path: Path, results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("10.png", "9.png", "deep/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture_bytes("png"))
    (tmp_path / "9a.png").write_bytes(b"nothing")
    monkeypatch.chdir(tmp_path)
    found, errors, status = results(".")
    assert [(result["source"], result["seq"]) for result in found] == [("9.png", 0), ("10.png", 1)]
    assert len({result["camera"] for result in found}) == 1
    assert all(result["faces"] == [] for result in found)
    assert len(errors) == 1
    assert errors[0].startswith("facestream: 9a.png holds text")
    assert status == 1
    found, _, _ = results(".", "--recursive")
    assert [result["source"] for result in found] == ["9.png", "10.png", "deep/1.png"]


def test_bad_files_are_one_line_each_and_the_others_are_done(tmp_path: Path, results: Any) -> None:
    bad = {
        "text.jpg": b"hello\n",
        "empty.png": b"",
        "cut.png": ASTRONAUT.read_bytes()[:200_000],
        "cut.jpg": LUIS.read_bytes()[:9_000],
        "iphone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "nothing").mkdir()
    names = [tmp_path / name for name in (*bad, "absent.jpg", "nothing")]
    found, errors, status = results(*names[:3], LUIS, *names[3:])
    assert status == 1
    assert [gender(result) for result in found] == ["male"]
    assert len(errors) == len(names)
    for name in names:
        assert sum(str(name) in line for line in errors) == 1
    assert all(line.startswith("facestream: ") for line in errors)


def test_nothing_but_an_empty_folder_or_an_absent_file(tmp_path: Path, results: Any) -> None:
    assert results(tmp_path) == (
        [],
        [f"facestream: {tmp_path} has no picture in it; --recursive looks into its folders too"],
        1,
    )
    assert results(tmp_path / "x.jpg") == (
        [],
        [f"facestream: {tmp_path / 'x.jpg'} does not exist; check the path"],
        1,
    )


def test_a_pipe_gets_columns_and_stderr_the_meaning(capfd: pytest.CaptureFixture[str]) -> None:
    assert facestream("classify", ASTRONAUT, LUIS, "--attributes", "gender,age") == 0
    captured = capfd.readouterr()
    header, first, second = captured.out.splitlines()
    assert header.split() == ["face", "box", "(x,y", "WxH)", "score", "apparent", "gender", "age", "file"]
    number, place, size, score, label, label_score, age, name = first.split()
    assert (number, label, name) == ("1", "female", str(ASTRONAUT))
    assert abs(int(place.split(",")[0]) - 178) < 8
    assert abs(int(size.split("x")[0]) - 90) < 15
    assert 0.6 < float(score) < 1
    assert 0.6 < float(label_score) < 1
    assert 20 < int(age) < 60
    assert "male" in second.split()
    assert header.index("file") == first.index(str(ASTRONAUT)) == second.index(str(LUIS)) < 80
    assert "apparent" in captured.err
    assert "\x1b" not in captured.out + captured.err


def test_no_face_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wall.png").write_bytes(picture_bytes("png"))
    assert facestream("classify", tmp_path / "wall.png") == 0
    assert "no face" in capfd.readouterr().out


def test_attributes_none_says_nothing_of_gender(capfd: pytest.CaptureFixture[str]) -> None:
    assert facestream("classify", ASTRONAUT, "--attributes", "none") == 0
    captured = capfd.readouterr()
    assert "female" not in captured.out
    assert captured.err == ""


def test_options_reach_the_analyser(results: Any) -> None:
    [small], _, _ = results(ASTRONAUT, "--min-face", 200)
    assert gender(small) == "unknown"
    [none], _, _ = results(ASTRONAUT, "--min-score", 0.99)
    assert none["faces"] == []
    # Both compute in float32; the default may be bfloat16, and a third of a pixel off.
    [usual], _, _ = results(ASTRONAUT, "--engine", "onnxruntime")
    [other], _, _ = results(ASTRONAUT, "--engine", "opencv")
    assert np.allclose(usual["faces"][0]["box"], other["faces"][0]["box"], atol=0.1)
    assert gender(usual) == gender(other)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attributes", "gendr"], "gendr"),
        (["--attributes", "a b"], "none, or names separated by commas"),
        (["--min-score", "2"], "min-score"),
        (["--engine", "abacus"], "engine"),
        (["--annotate", str(ASTRONAUT)], "it is a file"),
    ],
)
def test_a_wrong_option_is_one_line(
    arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert facestream("classify", ASTRONAUT, *arguments) in (1, 2)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert words in captured.err


def test_annotated_pictures_are_drawn_and_overwrite_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(LUIS, tmp_path / folder / "luis.jpg")
    shutil.copy(ASTRONAUT, tmp_path / "a" / "astro.png")
    shutil.copy(LUIS, tmp_path / "a" / "luis.annotated.jpg")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert facestream("classify", tmp_path / "a", tmp_path / "b", "--annotate", tmp_path / "a") == 0
    assert f"4 pictures in {tmp_path / 'a'}" in capfd.readouterr().err
    assert all(path.read_bytes() == data for path, data in before.items())
    written = sorted(path.name for path in tmp_path.rglob("*.*") if path not in before)
    assert written == [
        "astro.annotated.png",
        "luis.annotated-2.jpg",
        "luis.annotated-3.jpg",
        "luis.annotated.annotated.jpg",
    ]
    drawn = read_image(tmp_path / "a" / "astro.annotated.png")
    changed = np.any(drawn != read_image(ASTRONAUT), axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert 150 < columns.min() < columns.max() < 340
    assert rows.max() < 200

    # Once more: what was drawn before is replaced, not multiplied.
    facestream("classify", LUIS, "--annotate", tmp_path / "new" / "deep")
    facestream("classify", LUIS, "--annotate", tmp_path / "new" / "deep")
    assert [path.name for path in (tmp_path / "new" / "deep").iterdir()] == ["luispedro.annotated.jpg"]


def test_a_drawn_picture_that_cannot_be_written_is_one_line(tmp_path: Path, results: Any) -> None:
    (tmp_path / "luispedro.annotated.jpg").mkdir()
    found, errors, status = results(LUIS, ASTRONAUT, "--annotate", tmp_path)
    assert len(found) == 2
    assert status == 1
    assert sum("could not be written" in line for line in errors) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "astronaut.annotated.png",
        "luispedro.annotated.jpg",
    ]


@pytest.fixture
def gender_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Those of the gender model, while the folder of weights has the detector alone."""
    store, catalogue = WeightsStore(), load_catalogue()
    detector, content = store.path(catalogue.for_role("detector")), store.path(catalogue.for_role("gender"))
    (tmp_path / "weights").mkdir()
    shutil.copy(detector, tmp_path / "weights" / detector.name)
    monkeypatch.setenv("FACESTREAM_WEIGHTS", str(tmp_path / "weights"))
    return content.read_bytes()


@pytest.mark.usefixtures("gender_weights")
def test_without_a_model_and_offline_one_line_names_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert facestream("classify", ASTRONAUT, "--offline") == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "facestream models pull" in captured.err


def test_a_missing_model_is_fetched_and_said_so(
    gender_weights: bytes, tmp_path: Path, results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = (Path(str(files("facestream_models"))) / "catalogue.toml").read_text()
    entry = "[[model]]" + next(part for part in entry.split("[[model]]") if '"dlib-gender-v1"' in part)
    entry = entry.split("[[model.sources]]")[0].replace("dlib-gender-v1", "mine")
    with serving(Behaviour(gender_weights)) as address:
        own = tmp_path / "own.toml"
        own.write_text(f'{entry}\n[[model.sources]]\nkind = "url"\nurl = "{address}"\n')
        monkeypatch.setenv("FACESTREAM_CATALOGUE", str(own))
        [result], errors, status = results(ASTRONAUT)
        assert (gender(result), status) == ("female", 0)
        assert result["models"]["gender"].startswith("mine@")
        assert len(errors) == 1
        assert errors[0].startswith("facestream: getting mine (0.5 MB)")
        assert results(ASTRONAUT)[1] == []


def test_help_says_what_the_label_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert facestream("classify", "--help") == 0
    text = " ".join(capfd.readouterr().out.split())
    assert "apparent gender" in text
    assert "Never decide anything about a person by it" in text
    assert "facestream classify photo.jpg" in text
