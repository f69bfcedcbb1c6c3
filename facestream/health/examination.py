"""All checks there are: our own, those of the installed applications, and the broker's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from facestream.health.broker import check_broker
from facestream.health.check import Check, fail, ok
from facestream.health.machine import check_machine
from facestream.redaction import redact
from facestream.settings import Settings

GROUP = "facestream.checks"


def examine(settings: Settings) -> list[Check]:
    """Every finding, in the order they are best read. Never raises: what cannot be checked is a finding."""
    url = settings.redis_url
    checks = check_machine(has_own_broker=url is not None)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        checks += contributed(entry, settings)
    if url is None:
        checks.append(ok("broker", "none named (--redis or FACESTREAM_REDIS): run starts the embedded one"))
    else:
        checks += check_broker(url, settings.prefix, settings.partitions)
    return checks


def contributed(entry: EntryPoint, settings: Settings) -> list[Check]:
    """What one package adds; one that fails to check has failed."""
    try:
        check = cast(Callable[[Settings], Iterable[Check]], entry.load())
        return list(check(settings))
    except Exception as error:
        reason = redact(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
        remedy = "pip install --force-reinstall 'facestream[all]'; if that does not help, please report it"
        return [fail(entry.value.partition(":")[0], f"could not be checked ({reason})", remedy)]
