"""The processor's features that decide how fast inference is, and how many cores there are for it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from facestream.health.check import Check, ok, warn

WANTED = (
    *("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)
# How macOS calls what Linux calls …; its machines with an Apple processor always have asimd.
_APPLE = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.AdvSIMD": "asimd",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
}


def check_processor() -> list[Check]:
    return [check_features(processor_features()), check_cores(usable_cores(), core_quota())]


def check_features(features: frozenset[str] | None) -> Check:
    name = "processor"
    about = f"{platform.machine() or 'unknown'}"
    if features is None:
        return ok(name, f"{about}, features unknown on {platform.system() or 'this system'}")
    found = [feature for feature in WANTED if feature in features]
    text = f"{about} with {', '.join(found) or 'none of the vector features looked for'}"
    if about.lower() in {"x86_64", "amd64"} and "avx2" not in features:
        return warn(name, text, "without avx2 expect a fraction of the usual speed: use a newer processor")
    return ok(name, text)


def check_cores(cores: int, quota: float | None) -> Check:
    name = "cores"
    if quota is not None and quota < cores:
        return warn(
            name,
            f"{cores} visible, but this container may use only {quota:g}",
            f"use --workers {max(1, int(quota))}, or raise the container's limit",
        )
    return ok(name, f"{cores} for this process, one worker each")


def processor_features() -> frozenset[str] | None:
    """As Linux names them; None where this system is not understood."""
    readers: dict[str, Callable[[], frozenset[str]]] = {"linux": _from_linux, "darwin": _from_macos}
    try:
        return readers[sys.platform]()
    except (KeyError, OSError, subprocess.SubprocessError):
        return None


def features_in_cpuinfo(text: str) -> frozenset[str]:
    """Of the first processor of /proc/cpuinfo; `flags` on x86, `Features` on ARM."""
    for line in text.splitlines():
        title, _, value = line.partition(":")
        if title.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def features_in_sysctl(text: str) -> frozenset[str]:
    """Of `sysctl hw.optional`: one `name: 1` a line for what the processor has."""
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(_APPLE[name] for name, _, value in lines if name in _APPLE and value.strip() == "1")


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def core_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of time a container may use, under either version of Linux's control groups."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = (
                (root / "cpu" / f"cpu.cfs_{part}_us").read_text() for part in ("quota", "period")
            )
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else None
    except (OSError, ValueError):
        return None


def _from_linux() -> frozenset[str]:
    return features_in_cpuinfo(Path("/proc/cpuinfo").read_text(errors="replace"))


def _from_macos() -> frozenset[str]:
    answer = subprocess.run(
        ["/usr/sbin/sysctl", "hw.optional"], capture_output=True, text=True, timeout=5, check=True
    )
    return features_in_sysctl(answer.stdout)
