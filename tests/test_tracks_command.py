"""`facestream tracks`: the people of results files, made up and real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facestream.commands.app import build_app, run
from support.people import face, result
from support.processes import facestream
from support.shared import shared_video


def written(folder: Path, *results: object) -> Path:
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in results))
    return path


def walking(frames: int = 40) -> list[object]:
    return [result(n, [face(100 + 20 * n, 250, years=30)]) for n in range(frames)]


def test_a_line_for_each_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, *walking())
    assert run(build_app(), ["tracks", str(path), "--line", "door: 0.5,1 0.5,0"]) == 0
    said = capsys.readouterr().out
    [row] = [line for line in said.splitlines() if line.startswith("lobby")]
    assert row.split()[:2] == ["lobby", "0.0"]
    assert row.split()[3:] == ["3.9", "40", "female", "1.00", "30", "±", "0", "door", "entry"]
    assert "1 person: female 1" in said
    assert "labels are apparent" in said


def test_people_and_minutes_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["tracks", str(written(tmp_path, *walking())), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [track["observations"] for track in said["people"]] == [40]
    assert [(minute["people"], minute["final"]) for minute in said["minutes"]] == [(1, True)]


def test_nobody_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["tracks", str(written(tmp_path, result(0)))]) == 0
    assert capsys.readouterr().out == "no people: no face was seen often enough\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "line 1 is no result"),
        ("\n\nnonsense\n", "line 3 is no result (JSONDecodeError)"),
        ('{"v": 9}\n', "schema version 9 is from the future"),
        ('{"v": 1e400}\n', "no schema version"),
        ("[" * 100_000, "line 1 is no result"),
        ('{"v": 123456789012345678901234567890}', "line 1 is no result"),
    ],
)
def test_what_is_no_result_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_text(text)
    assert run(build_app(), ["tracks", str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["tracks", str(tmp_path / "nowhere")]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert run(build_app(), ["tracks", str(tmp_path), "--line", "door: 0,0 0,0"]) == 2


def test_the_four_people_of_the_demo_scene(tmp_path: Path) -> None:
    """Real frames, real networks: four portraits that move, pass each other and change their size."""
    from facestream_producer.demo import parse_demo

    out = tmp_path / "results.jsonl"
    ended = facestream("run", "demo:seconds=4,fps=10", "--attributes", "gender,age", "--out", out)
    assert ended.status == 0, ended.err
    tracked = facestream("tracks", out, "--json")
    people = json.loads(tracked.out)["people"]
    truth = [gender for _, gender in parse_demo("demo:seconds=4,fps=10").truth(0)]
    assert len(people) == len(truth) == 4
    assert sorted(track["gender"]["label"] for track in people) == sorted(truth)
    assert all(track["observations"] >= 36 for track in people)


@pytest.mark.shared_data
def test_the_four_people_of_the_mosaic(tmp_path: Path) -> None:
    """Two women on the left, two men on the right; each stays in a quarter of the picture."""
    out = tmp_path / "results.jsonl"
    assert facestream("run", shared_video("mosaic_a.mp4"), "--out", out).status == 0
    for every in (1, 6):
        some = tmp_path / "some.jsonl"
        some.write_text("".join(out.read_text().splitlines(keepends=True)[::every]))
        people = json.loads(facestream("tracks", some, "--json").out)["people"]
        places = [
            {(x + width / 2 > 0.5, y + height / 2 > 0.5) for _, x, y, width, height in track["path"]}
            for track in people
        ]
        assert all(len(place) == 1 for place in places)
        assert len(set.union(*places)) == len(people) == 4
        for track, [(is_right, _)] in zip(people, places, strict=True):
            assert track["gender"]["label"] == ("male" if is_right else "female")
