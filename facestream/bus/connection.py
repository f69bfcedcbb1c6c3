"""One checked connection to the broker, through which every script runs."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import redis

from facestream.bus.client import Client, open_client, shown, user_of
from facestream.bus.faults import first_contact, translated
from facestream.bus.keys import SLOTS, Keys
from facestream.bus.lines import Lines
from facestream.contract import VERSION
from facestream.errors import BusRefused, BusUnavailable

# Below the socket's time-out: a blocking read longer than that times out instead of returning nothing.
MAX_BLOCK_SECONDS = 2.0
RETRY_SECONDS = 3.0
CLUSTER_PARTITIONS = 48
# The broker holds these to it, so that a user who may only read may run them.
READ_ONLY = frozenset({"alive", "entry", "look", "muster", "roster", "survey"})


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    sha: str
    reads_only: bool


@cache
def script(name: str) -> Script:
    folder = files("facestream.scripts")
    source = "".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in ("common", name))
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(source, sha, reads_only=name in READ_ONLY)


class Connection:
    """A broker that was found fit at the first contact: version, `noeviction`, contract and partitions.

    partitions: how many to found a new deployment with, 1 on one server and 48 in a cluster unless said;
    a broker that has another number already is refused.
    Raises BusUnavailable when nothing answers, BusRefused when what answers cannot be used.
    """

    def __init__(
        self, url: str, *, prefix: str = "fs", partitions: int | None = None, protocol: int = 2
    ) -> None:
        self.address, self._user = shown(url), user_of(url)
        with first_contact(url, self.address, self._user, f"use {prefix}:meta"):
            self._client = self._open(url, protocol)
            try:
                self.incarnation, agreed = self._agree(f"{prefix}:meta", partitions)
            except BaseException:
                self._client.close()
                raise
        self.keys = Keys(prefix, agreed)
        self._lines = Lines(self._client) if isinstance(self._client, redis.Redis) else None

    def lost_its_data(self) -> bool:
        """Whether the broker began anew since the last look: it was emptied, or another took its place."""
        before = self.incarnation
        with translated(self.address, self._user, f"use {self.keys.meta}"):
            self.incarnation, _ = self._agree(self.keys.meta, self.keys.partitions)
        return self.incarnation != before

    @property
    def is_cluster(self) -> bool:
        return isinstance(self._client, redis.RedisCluster)

    def close(self) -> None:
        if self._lines:
            self._lines.close()
        self._client.close()

    def call(self, name: str, keys: Sequence[str], arguments: Sequence[Any], *, retry: bool = True) -> Any:
        """Run a script in one round trip; tried again for a moment when the connection breaks."""
        deadline, pause = time.monotonic() + RETRY_SECONDS, 0.02
        while True:
            try:
                with translated(self.address, self._user, f"run the script {name}"):
                    return self._run(script(name), keys, arguments)
            except BusUnavailable:
                if not retry or time.monotonic() > deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)

    def read(self, command: str, *arguments: Any) -> Any:
        """One command as it is, never tried again; the reply as the driver parses it."""
        with translated(self.address, self._user, f"use {command}"):
            return self._client.execute_command(command, *arguments)  # type: ignore[no-untyped-call]

    def info(self) -> list[dict[str, Any]]:
        """INFO of every server that holds data: one, or each master of a cluster."""
        with translated(self.address, self._user, "use INFO"):
            if isinstance(self._client, redis.RedisCluster):
                masters = self._client.get_primaries()  # type: ignore[no-untyped-call]
                return [self._client.info(target_nodes=node) for node in masters]
            return [self._client.info()]

    def _open(self, url: str, protocol: int) -> Client:
        return open_client(url, protocol=protocol)

    def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        ask = self._lines.ask if self._lines else self._client.execute_command
        by_hash, whole = ("EVALSHA_RO", "EVAL_RO") if script.reads_only else ("EVALSHA", "EVAL")
        try:
            return ask(by_hash, script.sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return ask(whole, script.source, len(keys), *keys, *arguments)

    def _agree(self, meta: str, partitions: int | None) -> tuple[str, int]:
        """Found the deployment if nobody has, else agree with it; (incarnation, partitions)."""
        known = self._read_meta(meta)
        if len(known) < 3:  # only then is anything written: a full broker takes its workers back
            usual = CLUSTER_PARTITIONS if self.is_cluster else 1
            incarnation = secrets.token_hex(8)
            first = {"contract": VERSION, "partitions": partitions or usual, "incarnation": incarnation}
            for field, value in first.items():
                self._client.hsetnx(meta, field, str(value))
            known = self._read_meta(meta)
        if known["contract"] != str(VERSION):
            raise BusRefused(
                f"the broker at {self.address} carries contract version {known['contract']}, "
                f"this is version {VERSION}: run the same release everywhere"
            )
        if not re.fullmatch("[0-9]{1,5}", known["partitions"]) or not 1 <= int(known["partitions"]) <= SLOTS:
            raise BusRefused(
                f"the broker at {self.address} says it has {known['partitions'][:16]!r} partitions: "
                f"another program wrote to {meta}; choose another prefix, or use an empty broker"
            )
        if partitions is not None and known["partitions"] != str(partitions):
            raise BusRefused(
                f"the broker at {self.address} has {known['partitions']} partitions, not {partitions}: "
                "leave the number out, or use an empty broker"
            )
        return known["incarnation"], int(known["partitions"])

    def _read_meta(self, meta: str) -> dict[str, str]:
        raw = cast(dict[bytes, bytes], self._client.hgetall(meta))
        return {
            name: raw[name.encode()].decode(errors="replace")
            for name in ("contract", "partitions", "incarnation")
            if name.encode() in raw
        }
