"""What every test may use: a real broker of its own session, and keys of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """The embedded broker, started once; tests stay apart by `prefix`."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """A key prefix no other test has."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def connection(broker: EmbeddedBroker, prefix: str) -> Iterator[Connection]:
    connection = Connection(broker.url, prefix=prefix)
    yield connection
    connection.close()
