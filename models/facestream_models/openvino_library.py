"""Loads OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

TELEMETRY = "openvino_telemetry"


@cache
def load_openvino() -> Any:
    """The module `openvino`; ImportError where it is not installed.

    Importing it as it is starts a process that reports the import to its makers, through Google Analytics.
    Without its telemetry package, which it looks for first, it does all it should and tells nobody.
    """
    if TELEMETRY in sys.modules:
        return import_module("openvino")
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # what `import` takes for: not installed
    try:
        return import_module("openvino")
    finally:
        del sys.modules[TELEMETRY]
