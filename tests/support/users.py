"""The users of deploy/redis/users.acl on real servers: one connection each, and what they were refused."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import redis

from facestream.bus.connection import Connection
from facestream.bus.overview import Observer
from support.servers import Server, running

DEPLOY = Path(__file__).parents[2] / "deploy" / "redis"
USERS = ("producer", "worker", "tracker", "consumer", "viewer", "operator", "exporter")
ADMIN = "test-admin"

_C = TypeVar("_C", bound=Connection)


def password(user: str) -> str:
    return f"ZQX-{user}-secret"


def rules(**environment: str) -> str:
    """What users.sh prints, with a password known to us for each user."""
    passwords = {f"{user.upper()}_PASSWORD": password(user) for user in USERS}
    made = subprocess.run(
        [DEPLOY / "users.sh"],
        env={"PATH": os.environ["PATH"], **passwords, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stderr == ""
    return made.stdout


def rules_of(user: str) -> list[str]:
    """A user's rules one by one, as ACL SETUSER takes them."""
    [line] = [line for line in rules().splitlines() if line.startswith(f"user {user} ")]
    return re.findall(r"\([^)]*\)|\S+", line)[2:]


@dataclass(slots=True)
class Guarded:
    """A server with the shipped users and configuration, and one more who may do everything: the test."""

    server: Server
    admin: redis.Redis
    opened: list[Connection] = field(default_factory=list)

    def url(self, user: str) -> str:
        return self.server.url(f"{user}:{password(user)}@")

    def connect(self, user: str, kind: type[_C], **options: Any) -> _C:
        connection = kind(self.url(user), **options)
        self.opened.append(connection)
        return connection

    def producer(self, **options: Any) -> Connection:
        return self.connect("producer", Connection, **options)

    def worker(self, **options: Any) -> Connection:
        return self.connect("worker", Connection, **options)

    def observer(self, user: str, **options: Any) -> Observer:
        return self.connect(user, Observer, **options)

    def refused(self) -> list[str]:
        """`user: command or key` of everything that was not allowed since the last reset."""
        entries = self.admin.execute_command("ACL", "LOG")
        flat = [list(entry.values()) if isinstance(entry, dict) else entry for entry in entries]
        names = list(entries[0]) if entries and isinstance(entries[0], dict) else []
        found = []
        for entry in flat:
            about = (
                dict(zip(names, entry, strict=True))
                if names
                else dict(zip(entry[::2], entry[1::2], strict=True))
            )
            about = {_text(key): value for key, value in about.items()}
            found.append(f"{_text(about['username'])}: {_text(about['object'])}")
        return sorted(found)

    def reset(self) -> None:
        """An empty broker, nothing refused yet, nobody connected."""
        while self.opened:
            self.opened.pop().close()
        self.admin.flushall()
        self.admin.execute_command("ACL", "LOG", "RESET")


@contextmanager
def guarded(
    kind: str, folder: Path, options: dict[str, Any] | None = None, **listening: bool
) -> Iterator[Guarded]:
    """A server of this kind with frames.conf and users.acl as they are shipped."""
    users = folder / "users.acl"
    users.write_text(rules() + f"user {ADMIN} on nopass ~* &* +@all\n")
    settings = {"aclfile": users, **(options or {})}
    with running(kind, settings, config=DEPLOY / "frames.conf", **listening) as server:
        admin = redis.Redis(unix_socket_path=server.socket, username=ADMIN, password="any")
        with admin:
            yield Guarded(server, admin)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
