"""Carries out requests to the broker, awaiting each reply."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio as driver
from redis.asyncio.connection import ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from facestream.bus import tls
from facestream.bus.agreement import agreement
from facestream.bus.client import check_fit, open_unchecked, shared_options, shown, user_of
from facestream.bus.faults import STRANGE, stranger, translated
from facestream.bus.keys import Keys
from facestream.bus.requests import Command, Contact, Together
from facestream.errors import BusUnavailable


class AsyncLink:
    """Nothing is sent before `open`. Raises SettingsError when `url` is no broker's address."""

    def __init__(self, url: str, prefix: str, partitions: int | None) -> None:
        open_unchecked(url).close()
        self._url, self._prefix, self._partitions = url, prefix, partitions
        self._address, self._user = shown(url), user_of(url)
        self._cluster: driver.RedisCluster | None = None
        self._servers: dict[str, driver.Redis] = {}

    async def open(self) -> Contact:
        """Raises BusUnavailable when nothing answers, BusRefused when what answers cannot be used."""
        await self.close()
        try:
            with translated(self._address, self._user, f"use {self._prefix}:meta"):
                return await self._make_contact()
        except BusUnavailable as error:
            raise await asyncio.to_thread(tls.ask_why, self._url, self._address) or error from None
        except STRANGE as error:
            raise stranger(self._address, error) from None

    async def perform(self, request: Command | Together) -> Any:
        """Raises BusError."""
        if isinstance(request, Command):
            with translated(self._address, self._user, f"use {request.words[0]}"):
                server: Any = self._server(request.key)
                return await server.execute_command(*request.words)
        with translated(self._address, self._user, f"use {request.commands[0].words[0]}"):
            return await self._perform_together(request)

    async def close(self) -> None:
        servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            await server.aclose()
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.aclose()

    async def _make_contact(self) -> Contact:
        options = {"retry": Retry(NoBackoff(), 0), **shared_options(self._url)}
        async with driver.Redis.from_url(self._url, **options) as single:
            infos = [await single.info()]
            meta = f"{self._prefix}:meta"
            if not infos[0].get("cluster_enabled"):
                raw: Any = await single.hgetall(meta)
            else:
                cluster = self._cluster = driver.RedisCluster.from_url(self._url, **options)
                await cluster.initialize()
                masters = cluster.get_primaries()
                infos = [await cluster.info(target_nodes=master) for master in masters]
                raw = await cluster.hgetall(meta)
        for info in infos:
            check_fit(info, self._address)
        is_cluster = self._cluster is not None
        incarnation, partitions = agreement(raw, self._address, self._partitions, is_cluster=is_cluster)
        clock_ms = max(int(info.get("server_time_usec", 0)) for info in infos) // 1000
        return Contact(Keys(self._prefix, partitions), incarnation, is_cluster, clock_ms)

    async def _perform_together(self, request: Together) -> list[Any]:
        by_server: dict[int, tuple[driver.Redis, list[int]]] = {}
        for index, command in enumerate(request.commands):
            server = self._server(command.key)
            by_server.setdefault(id(server), (server, []))[1].append(index)
        replies: list[Any] = [None] * len(request.commands)
        for server, indexes in by_server.values():
            async with server.pipeline(transaction=request.atomic) as pipeline:
                for index in indexes:
                    pipeline.execute_command(*request.commands[index].words)
                for index, reply in zip(indexes, await pipeline.execute(raise_on_error=False), strict=True):
                    if isinstance(reply, Exception):  # as it is: the driver would put words before it
                        raise reply
                    replies[index] = reply
        return replies

    def _server(self, key: str) -> driver.Redis:
        """The server that holds a key; see `Link`."""
        node = None if self._cluster is None else self._cluster.get_node_from_key(key)
        name = "" if node is None else node.name
        server = self._servers.get(name)
        if server is None:
            options = {**parse_url(self._url), **shared_options(self._url), "retry": Retry(NoBackoff(), 0)}
            if node is not None:
                options |= {"host": node.host, "port": node.port}
            server = driver.Redis.from_pool(ConnectionPool(**options))
            server.response_callbacks.clear()
            self._servers[name] = server
        return server
