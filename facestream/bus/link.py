"""Carries out requests to the broker, waiting for each reply."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry

from facestream.bus.agreement import agreement
from facestream.bus.client import Client, open_client, open_unchecked, shared_options, shown, user_of
from facestream.bus.faults import first_contact, translated
from facestream.bus.keys import Keys
from facestream.bus.requests import Command, Contact, Together


class Link:
    """Nothing is sent before `open`. Raises SettingsError when `url` is no broker's address."""

    def __init__(self, url: str, prefix: str, partitions: int | None) -> None:
        open_unchecked(url).close()
        self._url, self._prefix, self._partitions = url, prefix, partitions
        self._address, self._user = shown(url), user_of(url)
        self._cluster: redis.RedisCluster | None = None
        self._servers: dict[str, redis.Redis] = {}

    def open(self) -> Contact:
        """Raises BusUnavailable when nothing answers, BusRefused when what answers cannot be used."""
        self.close()
        with first_contact(self._url, self._address, self._user, f"use {self._prefix}:meta"):
            client = open_client(self._url)
            try:
                contact = self._agree(client)
            finally:
                if isinstance(client, redis.RedisCluster):
                    self._cluster = client
                else:
                    client.close()
        return contact

    def perform(self, request: Command | Together) -> Any:
        """Raises BusError."""
        if isinstance(request, Command):
            with translated(self._address, self._user, f"use {request.words[0]}"):
                server: Any = self._server(request.key)
                return server.execute_command(*request.words)
        with translated(self._address, self._user, f"use {request.commands[0].words[0]}"):
            return self._perform_together(request)

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def _agree(self, client: Client) -> Contact:
        is_cluster = isinstance(client, redis.RedisCluster)
        raw: Any = client.hgetall(f"{self._prefix}:meta")
        incarnation, partitions = agreement(raw, self._address, self._partitions, is_cluster=is_cluster)
        if isinstance(client, redis.RedisCluster):
            masters = client.get_primaries()  # type: ignore[no-untyped-call]
            infos: list[Any] = [client.info(target_nodes=master) for master in masters]
        else:
            infos = [client.info()]
        clock_ms = max(int(info.get("server_time_usec", 0)) for info in infos) // 1000
        return Contact(Keys(self._prefix, partitions), incarnation, is_cluster, clock_ms)

    def _perform_together(self, request: Together) -> list[Any]:
        by_server: dict[int, tuple[redis.Redis, list[int]]] = {}
        for index, command in enumerate(request.commands):
            server = self._server(command.key)
            by_server.setdefault(id(server), (server, []))[1].append(index)
        replies: list[Any] = [None] * len(request.commands)
        for server, indexes in by_server.values():
            with server.pipeline(transaction=request.atomic) as pipeline:
                for index in indexes:
                    pipeline.execute_command(*request.commands[index].words)  # type: ignore[no-untyped-call]
                for index, reply in zip(indexes, pipeline.execute(raise_on_error=False), strict=True):
                    if isinstance(reply, Exception):  # as it is: the driver would put words before it
                        raise reply
                    replies[index] = reply
        return replies

    def _server(self, key: str) -> redis.Redis:
        """The server that holds a key. Not through the driver's cluster: it asks the broker, for every XREAD,
        which keys are in it. What has moved is found when contact is made anew."""
        node = None if self._cluster is None else self._cluster.get_node_from_key(key)  # type: ignore[no-untyped-call]
        name = "" if node is None else node.name
        server = self._servers.get(name)
        if server is None:
            options = {**parse_url(self._url), **shared_options(self._url)}  # type: ignore[no-untyped-call]
            options["retry"] = Retry(NoBackoff(), 0)
            if node is not None:
                options |= {"host": node.host, "port": node.port}
            server = redis.Redis.from_pool(ConnectionPool(**options))
            server.response_callbacks.clear()
            self._servers[name] = server
        return server
