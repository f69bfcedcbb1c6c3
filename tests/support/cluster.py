"""A real cluster on loopback: masters and, when asked, a replica of each."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from facestream.broker import MALLOC, server_binary
from support.ports import free_port

SLOTS = 16_384
PATIENCE_SECONDS = 20.0


@dataclass(slots=True)
class Node:
    port: int
    bus_port: int
    process: subprocess.Popen[bytes]
    client: redis.Redis

    @property
    def ident(self) -> str:
        return str(self.client.execute_command("CLUSTER", "MYID").decode())


@dataclass(slots=True)
class Cluster:
    masters: list[Node] = field(default_factory=list)
    replicas: list[Node] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.masters[0].port}"

    def wait_until_ok(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(_is_ok(node) for node in self.masters if node.process.poll() is None):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.05)


@contextlib.contextmanager
def start_cluster(masters: int = 3, *, replicas: bool = False) -> Iterator[Cluster]:
    """Slots in equal shares over the masters; everything ends with the block."""
    cluster = Cluster()
    with tempfile.TemporaryDirectory() as folder:
        try:
            cluster.masters = [_start(Path(folder)) for _ in range(masters)]
            first = cluster.masters[0]
            for number, node in enumerate(cluster.masters):
                low, high = number * SLOTS // masters, (number + 1) * SLOTS // masters - 1
                node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", low, high)
                node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                if node is not first:
                    node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)
            if replicas:
                cluster.replicas = [_start(Path(folder)) for _ in range(masters)]
                for node in cluster.replicas:
                    node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)
            cluster.wait_until_ok()
            for replica, master in zip(cluster.replicas, cluster.masters, strict=False):
                _replicate(replica, master)
            cluster.wait_until_ok()
            yield cluster
        finally:
            for node in cluster.masters + cluster.replicas:
                node.client.close()
                node.process.kill()
                node.process.wait()


def _start(folder: Path) -> Node:
    port, bus_port = free_port(), free_port()
    home = folder / str(port)
    home.mkdir()
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": home,
        "save": "",
        "appendonly": "no",
        "cluster-enabled": "yes",
        "cluster-port": bus_port,
        "cluster-node-timeout": 1500,
        "cluster-replica-validity-factor": 0,
        "repl-diskless-sync-delay": 0,
        "maxmemory-policy": "noeviction",
        "logfile": home / "log",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [server_binary(), *arguments], stdout=subprocess.DEVNULL, env=os.environ | MALLOC
    )
    client = redis.Redis(port=port)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "a node did not start"
            time.sleep(0.01)
        else:
            return Node(port, bus_port, process, client)


def _is_ok(node: Node) -> bool:
    info = node.client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info


def _replicate(replica: Node, master: Node) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            replica.client.execute_command("CLUSTER", "REPLICATE", master.ident)
        except redis.ResponseError:
            assert time.monotonic() < deadline, "a replica does not know its master"
            time.sleep(0.05)
        else:
            break
    while replica.client.info("replication")["master_link_status"] != "up":
        assert time.monotonic() < deadline, "a replica did not follow its master"
        time.sleep(0.05)
