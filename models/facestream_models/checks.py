"""What `facestream doctor` says of inference: NumPy, OpenCV, ONNX Runtime, and the weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import distributions
from importlib.util import find_spec
from typing import TYPE_CHECKING

from facestream.errors import FacestreamError
from facestream.health.check import Check, fail, ok, warn
from facestream.settings import Settings
from facestream_models.engine import AUTO
from facestream_models.openvino_library import load_openvino

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
    yield _openvino()
    yield from _weights(settings, AUTO if runtime.level == "ok" else "opencv")


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


def _openvino() -> Check:
    """It is an extra: missing is no fault, broken is."""
    if find_spec("openvino") is None:
        return ok("openvino", "not installed; faster where the processor has bfloat16 (pip install openvino)")
    try:
        return ok("openvino", str(load_openvino().__version__))
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        remedy = "pip install --force-reinstall openvino, or pip uninstall openvino to do without"
        return warn("openvino", f"does not load ({reason})", remedy)


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
        analyser(picture)  # not the first of its size: that one takes longer
        began = time.perf_counter()
        analyser(picture)
    except FacestreamError as error:
        return fail("engine", f"{engine}: {error}", "facestream models verify")
    milliseconds = (time.perf_counter() - began) * 1000
    chosen = analyser.engine
    text = f"{chosen} on one thread a worker; an empty 640x360 picture takes {milliseconds:.1f} ms"
    if chosen != "opencv":
        return ok("engine", f"{text} ({analyser.engine_reason})")
    return warn("engine", text, "give --engine opencv, or put ONNX Runtime right for twice the speed")
