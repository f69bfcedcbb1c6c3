"""The catalogue and the state of its weights, as a table and as JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from facestream_models.catalogue import Catalogue
from facestream_models.model import Model
from facestream_models.store import WeightsStore

STATE_STYLES = {"present": "green", "missing": "yellow", "wrong": "bold red"}


def print_table(catalogue: Catalogue, store: WeightsStore) -> None:
    table = Table(title="Models (* the default of its role; gender is apparent)", title_justify="left")
    for heading in ("role", "name", "licence", "size", "weights", "file"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for model in catalogue:
        state = store.state(model)
        mark = " *" if catalogue.for_role(model.role) is model else ""
        path = store.locate(model)
        where = "" if path is None else path.name if path.parent == store.folder else str(path)
        table.add_row(
            model.role + mark,
            model.name,
            escape(model.licence),
            decimal(model.bytes),
            f"[{STATE_STYLES[state]}]{state}",
            escape(where),
        )
    console = Console()
    console.print(table)
    if any(store.state(model) == "missing" for model in catalogue):
        console.print("`facestream models pull NAME` gets what is missing.", highlight=False)
    console.print(f"Weights are kept in {escape(str(store.folder))}", soft_wrap=True, highlight=False)


def print_json(catalogue: Catalogue, store: WeightsStore) -> None:
    print(json.dumps([_map(model, catalogue, store) for model in catalogue], indent=2, ensure_ascii=False))


def _map(model: Model, catalogue: Catalogue, store: WeightsStore) -> dict[str, Any]:
    path = store.locate(model)
    return {
        "role": model.role,
        "name": model.name,
        "ident": model.ident,
        "default": catalogue.for_role(model.role) is model,
        "licence": model.licence,
        "homepage": model.homepage,
        "bytes": model.bytes,
        "sha256": model.sha256,
        "labels": list(model.labels),
        "sources": [str(source) for source in model.sources],
        "weights": store.state(model),
        "path": str(path) if path else None,
    }
