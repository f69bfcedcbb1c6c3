"""The driver's client for an address: one server or a cluster, found fit or refused."""

from __future__ import annotations

import re
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from facestream.bus.tls import check_options
from facestream.errors import BusRefused, SettingsError
from facestream.redaction import redact

Client = redis.Redis | redis.RedisCluster

SOCKET_SECONDS = 5.0
ANYBODY = "default"
OLDEST = {"redis": (7, 0), "valkey": (7, 2)}


def shown(url: str) -> str:
    """An address as messages have it: without credentials, and without the options that follow it."""
    return redact(url).partition("?")[0]


def open_client(url: str, *, protocol: int = 2) -> Client:
    """A client for what is found at `url`; the driver's errors pass through.

    Raises SettingsError for an address that is none, BusRefused for a server that would lose frames.
    """
    client = open_unchecked(url, protocol=protocol)
    try:
        info = client.info()
        if not info.get("cluster_enabled"):
            check_fit(info, shown(url))
            return client
    except BaseException:
        client.close()
        raise
    client.close()
    cluster = redis.RedisCluster.from_url(url, **_options(url, protocol))
    for node in cluster.get_primaries():  # type: ignore[no-untyped-call]
        check_fit(cluster.info(target_nodes=node), shown(url))
    return cluster


def open_unchecked(url: str, *, protocol: int = 2) -> redis.Redis:
    """A client for one server, fit or not; nothing is sent yet. Raises SettingsError for no address."""
    try:
        check_options(parse_url(url))  # type: ignore[no-untyped-call]
        client = redis.Redis.from_url(url, **_options(url, protocol))
        connection = client.connection_pool.make_connection()  # here the options of the query are looked at
        str(getattr(connection, "host", "")).encode("idna")
        if "\0" in url:
            raise ValueError
    except (ValueError, TypeError):
        # Not in the driver's own words: they quote pieces of a password that broke the address apart.
        raise SettingsError(
            f"{redact(url)!r} is no broker address: use redis://host:6379/0, rediss:// for TLS, or "
            "unix:///path/to/socket, and in a password %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #"
        ) from None
    return client


def _options(url: str, protocol: int) -> dict[str, Any]:
    # Only the scripts are safe to repeat, and Connection does that.
    return shared_options(url, protocol) | {"retry": Retry(NoBackoff(), 0)}


def shared_options(url: str, protocol: int = 2) -> dict[str, Any]:
    """How the driver is to speak, whether it waits for replies or awaits them."""
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
        "protocol": protocol,
        "decode_responses": False,
    }
    if user_of(url) != ANYBODY:
        # The driver would say what it is, by a command that users of least privilege may not give. With no
        # name it must: unless a reply is read first, TLS 1.3's tickets pass for one and the link is refused.
        options["driver_info"] = None
    return options


def user_of(url: str) -> str:
    """Whom the broker knows us as; `default` where the address names nobody."""
    try:
        return str(parse_url(url).get("username") or ANYBODY)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        return ANYBODY


def check_fit(info: dict[str, Any], address: str) -> None:
    """Raises BusRefused, saying what to change, unless INFO shows a server that frames are safe with."""
    kind, version = server_version(info)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST[kind]:
        oldest = ".".join(map(str, OLDEST[kind]))
        raise BusRefused(f"the broker at {address} is {kind} {version}: {kind} {oldest} or newer is needed")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise BusRefused(
            f"the broker at {address} may throw frames away (maxmemory-policy {policy}): "
            "set `maxmemory-policy noeviction` there"
        )


def server_version(info: dict[str, Any]) -> tuple[str, str]:
    """('redis' | 'valkey', version) of a server's INFO."""
    if info.get("server_name") == "valkey" or "valkey_version" in info:
        return "valkey", str(info.get("valkey_version", info.get("redis_version", "0.0")))
    return "redis", str(info.get("redis_version", "0.0"))
