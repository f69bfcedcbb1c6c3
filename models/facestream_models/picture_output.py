"""What `facestream classify` prints: a table for people, plain columns for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from facestream.contract import FaceMap, ResultMap
from facestream_models.faces import UNKNOWN
from facestream_models.images import shown
from facestream_models.pictures import Picture

APPARENT = (
    "Gender is the apparent one, binary, as annotators perceived it: not who somebody is. "
    "Never decide anything about a person by it."
)
_STYLES = {"female": "orange1", "male": "sky_blue2"}
_MOST_CERTAIN = 0.999


class Output(ABC):
    """Where results go, one picture at a time."""

    @abstractmethod
    def add(self, picture: Picture, result: ResultMap) -> None: ...


class JsonLines(Output):
    def add(self, picture: Picture, result: ResultMap) -> None:
        plain = not _encoding().startswith("utf")
        print(json.dumps(result, ensure_ascii=plain, separators=(",", ":")), flush=True)


class Columns(Output):
    """One line a face in columns of fixed width, the file's name last: it may be as long as it likes."""

    def __init__(self, roles: Sequence[str]) -> None:
        self._roles, self._begun = roles, False

    def add(self, picture: Picture, result: ResultMap) -> None:
        if not self._begun:
            self._begun = True
            self._line("face", "box (x,y WxH)", "score", [_heading(role) for role in self._roles], "file")
        name = _printed(picture.path)
        for number, face in enumerate(result["faces"], 1):
            answers = [_answer(face, role) for role in self._roles]
            self._line(str(number), _box(face), _score(face["score"]), answers, name)
        if not result["faces"]:
            self._line("-", "no face", "-", ["-" for _ in self._roles], name)

    def _line(self, number: str, place: str, score: str, answers: list[str], name: str) -> None:
        answered = "".join(
            f"{answer:<{_width(role)}}  " for role, answer in zip(self._roles, answers, strict=True)
        )
        print(f"{number:>4}  {place:<19}  {score:<5}  {answered}{name}", flush=True)


class Tables(Output):
    """A table for every picture, on a terminal."""

    def __init__(self, console: Console, roles: Sequence[str]) -> None:
        self._console, self._roles = console, roles

    def add(self, picture: Picture, result: ResultMap) -> None:
        faces = result["faces"]
        count = "no face" if not faces else "1 face" if len(faces) == 1 else f"{len(faces)} faces"
        about = f"{result['width']} x {result['height']}, {count}"
        title = f"[bold]{escape(_printed(picture.path))}[/]  [dim]{about}[/]"
        self._console.print(title, soft_wrap=True, highlight=False)
        if faces:
            self._console.print(self._table(faces))

    def _table(self, faces: list[FaceMap]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("face", justify="right")
        table.add_column("box (x,y WxH)", no_wrap=True)
        table.add_column("score", justify="right")
        for role in self._roles:
            table.add_column(_heading(role), no_wrap=True)
        for number, face in enumerate(faces, 1):
            answers = [Text(_answer(face, role), style=_style(face, role)) for role in self._roles]
            table.add_row(str(number), _box(face), _score(face["score"]), *answers)
        return table


def make_output(as_json: bool, console: Console, roles: Sequence[str]) -> Output:
    if as_json:
        return JsonLines()
    return Tables(console, roles) if sys.stdout.isatty() else Columns(roles)


def _encoding() -> str:
    return (sys.stdout.encoding or "utf-8").lower().replace("_", "-")


def _printed(path: Path) -> str:
    """Its name, with a question mark for what this output's encoding lacks."""
    return shown(path).encode(_encoding(), "replace").decode(_encoding())


def _heading(role: str) -> str:
    return "apparent gender" if role == "gender" else role


def _box(face: FaceMap) -> str:
    x, y, width, height = (round(number) for number in face["box"])
    return f"{x},{y} {width}x{height}"


def _width(role: str) -> int:
    return {"gender": 15, "age": 3}.get(role, 20)


def _answer(face: FaceMap, role: str) -> str:
    answer = cast("dict[str, Any]", face["attributes"].get(role, {}))
    if "label" in answer:
        return f"{answer['label']} {_score(answer['score'])}"
    return "-" if answer.get("years") is None else f"{answer['years']:.0f}"


def _score(score: float) -> str:
    """No model is as sure as 1.000 says."""
    return f"{min(score, _MOST_CERTAIN):.3f}"


def _style(face: FaceMap, role: str) -> str:
    label = cast("dict[str, Any]", face["attributes"].get(role, {})).get("label", "")
    return "dim" if label == UNKNOWN else _STYLES.get(label, "")
