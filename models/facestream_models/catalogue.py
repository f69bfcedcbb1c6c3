"""The models there are: the built-in ones and, where asked for, the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from facestream.errors import CatalogueError
from facestream_models.catalogue_file import read_catalogue_file
from facestream_models.model import FileSource, Input, Model, Output, Source, UrlSource, WheelSource

__all__ = [
    "CATALOGUE_VARIABLE",
    "Catalogue",
    "FileSource",
    "Input",
    "Model",
    "Output",
    "Source",
    "UrlSource",
    "WheelSource",
    "load_catalogue",
]

BUILT_IN = Path(__file__).with_name("catalogue.toml")
CATALOGUE_VARIABLE = "FACESTREAM_CATALOGUE"


class Catalogue:
    """Models by name and by role; the one marked `default` last is its role's default, else the first."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models: dict[str, Model] = {}
        for model in models:
            if model.name in self._models:
                raise CatalogueError(f"two models are called {model.name!r}: rename one in your catalogue")
            self._models[model.name] = model

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(model.role for model in self))

    def get(self, name: str) -> Model:
        """The model of that name; CatalogueError naming the nearest one where there is none."""
        if name in self._models:
            return self._models[name]
        raise CatalogueError(f"no model is called {name!r}: {_nearest(name, list(self._models))}")

    def for_role(self, role: str) -> Model:
        """The default model of a role (`detector`, `gender`, `age`, …); CatalogueError if there is none."""
        candidates = [model for model in self if model.role == role]
        if not candidates:
            raise CatalogueError(f"no model has the role {role!r}: {_nearest(role, list(self.roles))}")
        marked = [model for model in candidates if model.default]
        return marked[-1] if marked else candidates[0]


def load_catalogue(extra: Path | None = None) -> Catalogue:
    """The built-in models followed by those of `extra`, or of the file FACESTREAM_CATALOGUE names.

    Raises CatalogueError, in one line that names the file, the model and the key.
    """
    if extra is None and os.environ.get(CATALOGUE_VARIABLE):
        extra = Path(os.environ[CATALOGUE_VARIABLE]).expanduser()
    models = read_catalogue_file(BUILT_IN)
    if extra is not None:
        models += read_catalogue_file(extra)
    return Catalogue(models)


def _nearest(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
