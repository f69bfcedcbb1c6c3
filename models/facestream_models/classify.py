"""`facestream classify`: the faces of pictures, without a broker."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from facestream.commands.parameters import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import Progress

    from facestream.contract import FaceMap
    from facestream_models.analyser import Analyser
    from facestream_models.annotating import AnnotatedFolder
    from facestream_models.picture_output import Output
    from facestream_models.pictures import Picture

_MANY = 3

HELP = """Find the faces of pictures and say what gender each *appears* to be; no broker is needed.

JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF, told by content; a folder stands for its pictures. A picture that
cannot be read is one line on stderr, the others are still done, and the exit status is 1.

Examples:

facestream classify photo.jpg

facestream classify holiday/ --recursive --attributes gender,age --annotate drawn/

facestream classify *.jpg --json | jq '.faces[].attributes.gender.label'

The label is the *apparent* gender, binary, as annotators perceived it: not who somebody is. Never decide
anything about a person by it.
"""


def register(app: typer.Typer) -> None:
    """Add `facestream classify`."""
    app.command("classify", help=HELP)(classify)


def classify(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE|FOLDER", help="Picture files, or folders of them.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for every picture (docs/contract.md).")
    ] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the pictures there with faces and labels drawn.")
    ] = None,
    attributes: Annotated[
        str, typer.Option(help="What to say of each face: none, gender or gender,age.")
    ] = "gender",
    min_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Detection score below which there is no face.")
    ] = 0.6,
    min_face: Annotated[
        int, typer.Option(min=1, metavar="PX", help="A face with a smaller side gets the label unknown.")
    ] = 24,
    engine: Engine = "auto",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into folders of folders too.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not fetch a missing model; say how to get it instead.")
    ] = False,
) -> None:
    from facestream.commands.options import parse_attributes
    from facestream_models.pictures import expand_pictures

    roles = parse_attributes(attributes)
    named = expand_pictures(pictures, recursive=recursive)
    for problem in named.problems:
        _say(problem)
    failed = len(named.problems)
    if named.found:
        from facestream_models.annotating import AnnotatedFolder

        drawn = AnnotatedFolder(annotate, [picture.path for picture in named.found]) if annotate else None
        analyser = _open_analyser(roles, min_score, min_face, engine, offline)
        failed += _classify_all(named.found, analyser, roles, as_json, drawn)
    if failed:
        raise typer.Exit(1)


def _open_analyser(
    roles: tuple[str, ...], min_score: float, min_face_px: int, engine: str, offline: bool
) -> Analyser:
    """The analyser; where a model is missing it is fetched first, as somebody's first command expects."""
    from facestream.errors import ModelMissing
    from facestream_models.analyser import Analyser
    from facestream_models.catalogue import load_catalogue
    from facestream_models.store import WeightsStore

    catalogue, store = load_catalogue(), WeightsStore()
    models = [catalogue.for_role(role) for role in ("detector", *roles)]

    def opened() -> Analyser:
        return Analyser(
            roles,
            detector=models[0].name,
            engine=engine,
            min_score=min_score,
            min_face_px=min_face_px,
            weights=store,
            catalogue=catalogue,
        )

    try:
        return opened()
    except ModelMissing:
        if offline:
            raise
    from facestream_models.pulling import pull_shown

    missing = [model for model in models if store.state(model) == "missing"]
    names, size_mb = ", ".join(model.name for model in missing), sum(model.bytes for model in missing) / 1e6
    _say(f"getting {names} ({size_mb:.1f} MB), this once; they are kept in {store.folder}")
    for _ in pull_shown(store, missing):
        pass
    return opened()


class _Classifying:
    """One run over pictures: analyse, print, draw."""

    def __init__(self, analyser: Analyser, output: Output, drawn: AnnotatedFolder | None) -> None:
        self._analyser, self._output, self._drawn = analyser, output, drawn
        self._seqs: dict[str, int] = {}
        self.done = 0

    def do(self, picture: Picture) -> None:
        """One picture; ImageError or SourceMissing, with nothing printed, where it cannot be read."""
        from facestream_models.images import read_image
        from facestream_models.pictures import picture_result
        from facestream_models.stages import Stages

        stages = Stages()
        with stages.measure("decode"):
            image = read_image(picture.path)
        [faces] = self._analyser.analyse([image], stages=stages)
        seq = self._seqs.get(picture.camera, 0)
        result = picture_result(
            picture,
            seq,
            (image.shape[1], image.shape[0]),
            cast("list[FaceMap]", faces.to_maps()),
            models=self._analyser.models,
            timings_ms={stage: round(seconds * 1000, 3) for stage, seconds in stages.items()},
            completed_at_us=time.time_ns() // 1000,
        )
        self._output.add(picture, result)
        self._seqs[picture.camera] = seq + 1
        self.done += 1
        if self._drawn is not None:
            self._drawn.write(picture.path, image, result["faces"])


def _classify_all(
    pictures: Sequence[Picture],
    analyser: Analyser,
    roles: Sequence[str],
    as_json: bool,
    drawn: AnnotatedFolder | None,
) -> int:
    """Each picture in turn; how many could not be done."""
    from rich.console import Console

    from facestream.errors import ImageError, SourceMissing
    from facestream_models.picture_output import APPARENT, make_output

    console, failed = Console(), 0
    run = _Classifying(analyser, make_output(as_json, console, roles), drawn)
    with _progress(console, as_json, len(pictures)) as progress:
        for picture in progress.track(pictures, description="classifying"):
            try:
                run.do(picture)
            except (ImageError, SourceMissing) as error:
                failed += 1
                _say(str(error), progress)
    if drawn is not None and drawn.written:
        one = len(drawn.written) == 1
        _say(
            f"drawn: {drawn.written[0]}" if one else f"drawn: {len(drawn.written)} pictures in {drawn.folder}"
        )
    if run.done and "gender" in roles and not as_json:
        Console(stderr=True).print(APPARENT, style="dim", highlight=False)
    return failed


def _progress(console: Console, as_json: bool, pictures: int) -> Progress:
    """A bar for many pictures, on the terminal that is there; tables pass above it, pipes pass it by."""
    from rich.console import Console
    from rich.progress import Progress

    to_terminal = sys.stdout.isatty()
    wanted = pictures >= _MANY and sys.stderr.isatty() and not (as_json and to_terminal)
    shown_on = console if to_terminal else Console(stderr=True)
    return Progress(
        console=shown_on, transient=True, disable=not wanted, redirect_stdout=False, redirect_stderr=False
    )


def _say(message: str, progress: Progress | None = None) -> None:
    line = f"facestream: {' '.join(message.split())}"
    if progress is not None and not progress.disable:
        progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        print(line, file=sys.stderr)
