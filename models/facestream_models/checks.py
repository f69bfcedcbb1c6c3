"""What `facestream doctor` says of inference: NumPy, OpenCV, ONNX Runtime, and the weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from facestream.errors import FacestreamError
from facestream.health.check import Check, fail, ok, warn
from facestream.settings import Settings

if TYPE_CHECKING:
    from facestream_models.catalogue import Catalogue
    from facestream_models.model import Model
    from facestream_models.store import WeightsStore

_DEFAULT_ROLES = ("detector", "gender")
_STATES = {"missing": "not here", "wrong": "not the file the catalogue promises"}


def checks(settings: Settings) -> Iterator[Check]:
    yield _library("numpy", "numpy", "numpy")
    yield _opencv()
    runtime = _library("onnx runtime", "onnxruntime", "onnxruntime")
    yield runtime
    yield from _weights(settings, "onnxruntime" if runtime.level == "ok" else "opencv")


def _library(name: str, module: str, distribution: str) -> Check:
    """Really imported: an installed library may still lack what it stands on."""
    try:
        loaded = __import__(module)
    except Exception as error:
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        remedy = f"pip install --force-reinstall {distribution}"
        return fail(name, f"does not load ({reason})", remedy)
    return ok(name, str(loaded.__version__))


def _opencv() -> Check:
    found = _library("opencv", "cv2", "opencv-python-headless")
    wheels = sorted(
        {name for each in distributions() if (name := each.metadata["Name"] or "").startswith("opencv-")}
    )
    if found.level == "ok" and len(wheels) > 1:
        text = f"{found.text}, but {' and '.join(wheels)} overwrite each other's files"
        others = " ".join(name for name in wheels if name != "opencv-python-headless")
        remedy = f"pip uninstall {others}, then pip install --force-reinstall opencv-python-headless"
        return warn("opencv", text, remedy)
    return found


def _weights(settings: Settings, engine: str) -> Iterator[Check]:
    from facestream_models.catalogue import load_catalogue
    from facestream_models.store import WeightsStore

    try:
        catalogue = load_catalogue(settings.catalogue)
    except FacestreamError as error:
        yield fail("catalogue", str(error), "correct the file, or leave FACESTREAM_CATALOGUE out")
        return
    store = WeightsStore(settings.weights)
    found = [_state(model, catalogue, store) for model in catalogue]
    yield from found
    if all(check.level != "fail" for check in found):
        yield _inference(engine, catalogue, store)


def _state(model: Model, catalogue: Catalogue, store: WeightsStore) -> Check:
    """Each file is hashed. What is not used unless asked for may be missing, but not wrong."""
    name, state = f"weights {model.name}", store.state(model)
    if state == "present":
        return ok(name, f"{model.role}, verified (sha256 {model.sha256[:8]}…)")
    is_default = model.role in _DEFAULT_ROLES and catalogue.for_role(model.role) is model
    text, remedy = f"{model.role}, {_STATES[state]}", f"facestream models pull {model.name}"
    if state == "wrong" or is_default:
        return fail(name, text, remedy)
    return ok(name, f"{text}; not needed unless asked for ({remedy})")


def _inference(engine: str, catalogue: Catalogue, store: WeightsStore) -> Check:
    """One empty picture through the networks a worker would use."""
    import numpy as np

    from facestream_models import Analyser

    picture = np.zeros((360, 640, 3), np.uint8)

    try:
        analyser = Analyser(("gender",), engine=engine, weights=store, catalogue=catalogue)
        analyser.warm()
        began = time.perf_counter()
        analyser(picture)
    except FacestreamError as error:
        return fail("engine", f"{engine}: {error}", "facestream models verify")
    milliseconds = (time.perf_counter() - began) * 1000
    text = f"{engine} on one thread a worker; an empty 640x360 picture takes {milliseconds:.1f} ms"
    if engine == "onnxruntime":
        return ok("engine", text)
    return warn("engine", text, "give --engine opencv, or put ONNX Runtime right for twice the speed")
