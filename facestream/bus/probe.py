"""What kind of broker answers at an address, however unfit it is; changes nothing there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import redis

from facestream.bus.client import SOCKET_SECONDS, check_fit, open_unchecked, server_version, shown, user_of
from facestream.bus.faults import first_contact
from facestream.bus.keys import Keys
from facestream.errors import BusRefused

_CLOCK_READINGS = 5

Info = dict[str, Any]
Server = redis.Redis | redis.RedisCluster


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """A broker as it describes itself; of a cluster, all its masters together and the clock of one.

    masters: how many a cluster has, None for a single server.
    too_old: what to use instead, empty when the version will do. policies: one, unless masters differ.
    snapshots: its `save` setting, None where it will not say. clock_ahead_ms: its clock less ours, right to
    within `clock_error_ms`. meta: what the deployment agreed on, empty before anybody began.
    """

    kind: str
    version: str
    too_old: str
    masters: int | None
    role: str
    policies: tuple[str, ...]
    used_bytes: int
    max_bytes: int
    append_only: bool
    snapshots: str | None
    clock_ahead_ms: float
    clock_error_ms: float
    meta: dict[str, str]


def probe(url: str, prefix: str) -> BrokerFacts:
    """Raises BusUnavailable, BusRefused (credentials, rights), SettingsError (no such address)."""
    address = shown(url)
    with first_contact(url, address, user_of(url), f"use {prefix}:meta"), open_unchecked(url) as client:
        info: Info = client.info()
        if not info.get("cluster_enabled"):
            return _facts(client, client, [info], prefix, address)
        with redis.RedisCluster.from_url(url, socket_timeout=SOCKET_SECONDS, protocol=2) as cluster:
            infos = [cast(Info, cluster.info(target_nodes=node)) for node in cluster.get_primaries()]
            return _facts(client, cluster, infos, prefix, address)


def _facts(one: redis.Redis, whole: Server, infos: list[Info], prefix: str, address: str) -> BrokerFacts:
    """`one`: the server that was named. infos: of every server that holds data."""
    kind, version = server_version(infos[0])
    limits = [int(info.get("maxmemory", 0)) for info in infos]
    ahead_ms, error_ms = _clock(one)
    return BrokerFacts(
        kind=kind,
        version=version,
        too_old=_too_old(infos, address),
        masters=len(infos) if infos[0].get("cluster_enabled") else None,
        role="master" if len(infos) > 1 else str(infos[0].get("role", "master")),
        policies=tuple(sorted({str(info.get("maxmemory_policy", "noeviction")) for info in infos})),
        used_bytes=sum(int(info.get("used_memory", 0)) for info in infos),
        max_bytes=sum(limits) if all(limits) else 0,
        append_only=any(int(info.get("aof_enabled", 0)) for info in infos),
        snapshots=_snapshots(one),
        clock_ahead_ms=ahead_ms,
        clock_error_ms=error_ms,
        meta=_meta(whole, Keys(prefix, 1).meta),
    )


def _too_old(infos: list[Info], address: str) -> str:
    for info in infos:
        try:
            check_fit(info | {"maxmemory_policy": "noeviction"}, address)
        except BusRefused as error:
            return str(error)
    return ""


def _snapshots(client: redis.Redis) -> str | None:
    """Managed brokers and tight access lists keep CONFIG to themselves."""
    try:
        settings = cast(dict[Any, Any], client.config_get("save"))
    except redis.exceptions.ResponseError:
        return None
    return {_text(name): _text(value) for name, value in settings.items()}.get("save")


def _meta(client: Server, key: str) -> dict[str, str]:
    fields = cast(dict[Any, Any], client.hgetall(key))
    return {_text(name): _text(value) for name, value in fields.items()}


def _clock(client: redis.Redis) -> tuple[float, float]:
    """The broker's clock less ours and half the round trip, in ms, of the quickest of a few readings."""
    best = (0.0, float("inf"))
    for _ in range(_CLOCK_READINGS):
        began, sent = time.monotonic(), time.time()
        seconds, microseconds = client.time()
        half = (time.monotonic() - began) / 2
        ahead = seconds + microseconds / 1e6 - (sent + half)
        best = min(best, (ahead * 1000, half * 1000), key=lambda reading: reading[1])
    return best


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
