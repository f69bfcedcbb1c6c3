"""Which engine computes where nobody asked for one: the fastest here whose answers are still right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from facestream import __version__
from facestream.errors import FacestreamError
from facestream.health.processor import processor_features
from facestream.printable import printable
from facestream_models.catalogue import Catalogue
from facestream_models.engine import Engine
from facestream_models.files import replacing
from facestream_models.model import DETECTOR, Model
from facestream_models.store import WeightsStore

FAST: Engine = "openvino-bf16"
EXACT: Engine = "onnxruntime"
LAST: Engine = "opencv"
# Verdicts of the gate, beside the weights they are about; one a machine, versions and models.
VERDICTS = "engines.json"
MOST_VERDICTS = 64
_MAX_VERDICTS_BYTES = 1 << 16
LIBRARIES = ("openvino", "onnxruntime", "numpy", "opencv-python-headless")


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and in a few words why it and no other."""

    engine: Engine
    reason: str


def choose_engine(models: Sequence[Model], weights: WeightsStore, catalogue: Catalogue) -> Choice:
    """The engine for these models on this machine.

    OpenVINO in bfloat16 where it is installed, the processor computes in it, and the answers agree with
    float32's (gate.py; tried once, then remembered); else ONNX Runtime; where that is missing, OpenCV.
    """
    if find_spec(EXACT) is None:
        return Choice(LAST, "ONNX Runtime is not installed")
    if find_spec("openvino") is None:
        return Choice(EXACT, "OpenVINO is not installed")
    from facestream_models.openvino_session import computes_bf16

    if not computes_bf16():
        return Choice(EXACT, "this processor has no bfloat16, and without it OpenVINO is no faster")
    passed, text = _verdict(models, weights, catalogue)
    return Choice(FAST if passed else EXACT, f"bfloat16 {'agrees' if passed else 'disagrees'}: {text}")


def _verdict(models: Sequence[Model], weights: WeightsStore, catalogue: Catalogue) -> tuple[bool, str]:
    """Whether the fast engine may be used, and what was seen; from the file where it was tried before."""
    file, key = weights.folder / VERDICTS, _circumstances(models)
    known = _read(file)
    if key in known:
        passed, text = known[key]
        return bool(passed), printable(str(text), 400)
    verdict = _try(models, weights, catalogue)
    # Where nothing can be written, it is tried again at the next start.
    with suppress(OSError, FacestreamError), replacing(file) as output:
        kept = dict([*known.items(), (key, list(verdict))][-MOST_VERDICTS:])
        output.write(json.dumps(kept, indent=1).encode())
    return verdict


def _try(models: Sequence[Model], weights: WeightsStore, catalogue: Catalogue) -> tuple[bool, str]:
    from facestream_models.analyser import Analyser
    from facestream_models.gate import compare

    roles = [model.role for model in models if model.role != DETECTOR]
    detector = next(model.name for model in models if model.role == DETECTOR)

    def opened(engine: str) -> Analyser:
        return Analyser(roles, detector=detector, engine=engine, weights=weights, catalogue=catalogue)

    exact = opened(EXACT)
    try:
        agreement = compare(exact, opened(FAST))
    except FacestreamError as error:
        return False, str(error)
    return agreement.holds, str(agreement)


def _circumstances(models: Sequence[Model]) -> str:
    """All that a verdict hangs on."""
    libraries = [f"{name} {_version(name)}" for name in LIBRARIES]
    features = sorted(processor_features() or ())
    about = [__version__, *libraries, *features, *(f"{model.name}@{model.sha256}" for model in models)]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:32]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"


def _read(file: Path) -> dict[str, list[object]]:
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(_MAX_VERDICTS_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: pair for key, pair in found.items() if isinstance(pair, list) and len(pair) == 2}
