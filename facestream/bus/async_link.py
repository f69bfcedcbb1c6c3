"""Carries out requests to the broker, awaiting each reply."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio as driver
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from facestream.bus import tls
from facestream.bus.agreement import agreement
from facestream.bus.client import check_fit, open_unchecked, shared_options, shown, user_of
from facestream.bus.faults import STRANGE, stranger, translated
from facestream.bus.keys import Keys
from facestream.bus.requests import Command, Contact, Together
from facestream.errors import BusUnavailable

AsyncClient = driver.Redis | driver.RedisCluster


class AsyncLink:
    """Nothing is sent before `open`. Raises SettingsError when `url` is no broker's address."""

    def __init__(self, url: str, prefix: str, partitions: int | None) -> None:
        open_unchecked(url).close()
        self._url, self._prefix, self._partitions = url, prefix, partitions
        self._address, self._user = shown(url), user_of(url)
        self._client: AsyncClient | None = None

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
        client = self._client
        if client is None:
            raise BusUnavailable("the link to the broker is closed")
        if isinstance(request, Command):
            with translated(self._address, self._user, f"use {request.words[0]}"):
                return await client.execute_command(*request.words)
        with translated(self._address, self._user, f"use {request.commands[0][0]}"):
            async with client.pipeline(transaction=request.atomic) as pipeline:
                for words in request.commands:
                    pipeline.execute_command(*words)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
            return replies

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _make_contact(self) -> Contact:
        retry = Retry(NoBackoff(), 0)
        single = driver.Redis.from_url(self._url, retry=retry, **shared_options(self._url))
        self._client = single
        info = await single.info()
        servers = [info]
        if info.get("cluster_enabled"):
            await single.aclose()
            cluster = driver.RedisCluster.from_url(self._url, retry=retry, **shared_options(self._url))
            self._client = cluster
            await cluster.initialize()
            masters = cluster.get_primaries()
            servers = [await master.execute_command("INFO") for master in masters]
        for server in servers:
            check_fit(server, self._address)
        return await self._agree(max(int(server.get("server_time_usec", 0)) for server in servers) // 1000)

    async def _agree(self, clock_ms: int) -> Contact:
        assert self._client is not None
        is_cluster = isinstance(self._client, driver.RedisCluster)
        raw = await self._client.execute_command("HGETALL", f"{self._prefix}:meta")
        incarnation, partitions = agreement(raw, self._address, self._partitions, is_cluster=is_cluster)
        return Contact(Keys(self._prefix, partitions), incarnation, is_cluster, clock_ms)
