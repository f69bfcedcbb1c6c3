"""One checked connection to the broker, through which every script runs."""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from facestream.bus.faults import translated
from facestream.bus.keys import Keys
from facestream.contract import VERSION
from facestream.errors import BusRefused, BusUnavailable, SettingsError
from facestream.redaction import redact

SOCKET_SECONDS = 5.0
# Below the socket's time-out: a blocking read longer than that times out instead of returning nothing.
MAX_BLOCK_SECONDS = 2.0
RETRY_SECONDS = 3.0
_OLDEST = {"redis": (7, 0), "valkey": (7, 2)}


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    sha: str


@cache
def script(name: str) -> Script:
    folder = files("facestream.scripts")
    source = folder.joinpath("common.lua").read_text() + folder.joinpath(f"{name}.lua").read_text()
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


class Connection:
    """A broker that was found fit at the first contact: version, `noeviction`, contract and partitions.

    Raises BusUnavailable when nothing answers, BusRefused when what answers cannot be used.
    """

    def __init__(self, url: str, *, prefix: str = "fs", partitions: int | None = None) -> None:
        self.address = redact(url)
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=SOCKET_SECONDS,
                socket_connect_timeout=SOCKET_SECONDS,
                retry=Retry(NoBackoff(), 0),  # only the scripts are safe to repeat, and call() does that
                protocol=2,
                decode_responses=False,
            )
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"{self.address} is no broker address ({redact(str(error))}): use redis://host:6379/0, "
                "rediss:// for TLS, or unix:///path/to/socket"
            ) from None
        with translated(self.address):
            self.server = self._check_fit()
            self.incarnation, agreed = self._agree(f"{prefix}:meta", partitions)
        self.keys = Keys(prefix, agreed)

    def close(self) -> None:
        self._client.close()

    def call(self, name: str, keys: Sequence[str], arguments: Sequence[Any], *, retry: bool = True) -> Any:
        """Run a script in one round trip; tried again for a moment when the connection breaks."""
        deadline, pause = time.monotonic() + RETRY_SECONDS, 0.02
        while True:
            try:
                with translated(self.address):
                    return self._run(script(name), keys, arguments)
            except BusUnavailable:
                if not retry or time.monotonic() > deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)

    def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return self._client.eval(script.source, len(keys), *keys, *arguments)

    def pop_ready(self, partitions: Sequence[int], wait_seconds: float) -> tuple[int, str] | None:
        """Block until a camera's turn comes in one of the partitions; (partition, camera) or None."""
        names = [self.keys.ready(partition) for partition in partitions]
        popped = self.read("BZPOPMIN", *names, min(wait_seconds, MAX_BLOCK_SECONDS))
        if not popped:
            return None
        return partitions[names.index(popped[0].decode())], popped[1].decode(errors="replace")

    def read(self, command: str, *arguments: Any) -> Any:
        """One command as it is, never tried again; the reply as the driver parses it."""
        with translated(self.address):
            return self._client.execute_command(command, *arguments)  # type: ignore[no-untyped-call]

    def _check_fit(self) -> dict[str, Any]:
        info = self._client.info()
        kind, version = server_version(info)
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST[kind]:
            oldest = ".".join(map(str, _OLDEST[kind]))
            raise BusRefused(
                f"the broker at {self.address} is {kind} {version}: {kind} {oldest} or newer is needed"
            )
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise BusRefused(
                f"the broker at {self.address} may throw frames away (maxmemory-policy {policy}): "
                "set `maxmemory-policy noeviction` there"
            )
        if info.get("redis_mode") == "cluster":
            raise BusRefused(
                f"the broker at {self.address} is a cluster, which this version does not speak yet"
            )
        return info

    def _agree(self, meta: str, partitions: int | None) -> tuple[str, int]:
        """Found the deployment if nobody has, else agree with it; (incarnation, partitions)."""
        first = {"contract": VERSION, "partitions": partitions or 1, "incarnation": secrets.token_hex(8)}
        for field, value in first.items():
            self._client.hsetnx(meta, field, str(value))
        raw = cast(dict[bytes, bytes], self._client.hgetall(meta))
        known = {key.decode(): value.decode() for key, value in raw.items()}
        if known["contract"] != str(VERSION):
            raise BusRefused(
                f"the broker at {self.address} carries contract version {known['contract']}, "
                f"this is version {VERSION}: run the same release everywhere"
            )
        if partitions is not None and known["partitions"] != str(partitions):
            raise BusRefused(
                f"the broker at {self.address} has {known['partitions']} partitions, not {partitions}: "
                "leave the number out, or use an empty broker"
            )
        return known["incarnation"], int(known["partitions"])


def server_version(info: dict[str, Any]) -> tuple[str, str]:
    """('redis' | 'valkey', version) of a server's INFO."""
    if info.get("server_name") == "valkey" or "valkey_version" in info:
        return "valkey", str(info.get("valkey_version", info.get("redis_version", "0.0")))
    return "redis", str(info.get("redis_version", "0.0"))
