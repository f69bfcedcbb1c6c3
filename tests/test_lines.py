"""The lines on which the bus calls: one a thread that speaks, mended unseen; and the pauses between tries."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from facestream.backoff import Backoff
from facestream.bus.client import SOCKET_SECONDS, open_unchecked
from facestream.bus.connection import MAX_BLOCK_SECONDS, Connection
from facestream.bus.lines import Lines
from facestream.errors import BusRefused
from support.kept_server import KeptServer

THREADS = 8


def test_as_many_lines_as_threads_that_speak_at_once(connection: Connection) -> None:
    lines = Lines(open_unchecked(connection.address))
    assert [lines.ask("ECHO", str(number)) for number in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(lines._all) == 1
    meeting = threading.Barrier(THREADS)

    def speak(number: int) -> list[bytes]:
        meeting.wait()
        return [lines.ask("ECHO", f"{number}-{turn}") for turn in range(50)]

    with ThreadPoolExecutor(THREADS) as pool:
        heard = list(pool.map(speak, range(THREADS)))
    assert heard == [[f"{number}-{turn}".encode() for turn in range(50)] for number in range(THREADS)]
    assert 1 <= len(lines._all) <= THREADS
    assert len(lines._free) == len(lines._all)
    lines.close()


def test_what_the_server_refuses_costs_no_line(connection: Connection) -> None:
    connection.read("SET", f"{connection.keys.prefix}:text", "no hash")
    with pytest.raises(BusRefused, match="WRONGTYPE"):
        connection.call("renew", [f"{connection.keys.prefix}:text"], [1, "token", 1000])
    assert connection._lines is not None
    [line] = connection._lines._all
    assert connection.call("renew", [connection.keys.ledger("cam")], [1, "token", 1000]) == 0
    assert connection._lines._all == [line]


def test_a_line_that_the_server_hung_up_is_mended_before_it_is_used() -> None:
    with KeptServer() as server:
        connection = Connection(server.url)
        ask = [connection.keys.ledger("cam")], [1, "token", 1000]
        assert connection.call("renew", *ask, retry=False) == 0
        server.restart()
        assert connection.call("renew", *ask, retry=False) == 0
        connection.close()


def test_a_server_that_is_away_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers at all, every try takes seconds, and a live camera waits for them."""
    with KeptServer() as server:
        lines = Lines(open_unchecked(server.url))
        lines.ask("ECHO", "here")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            lines.ask("ECHO", "gone")
        [line] = lines._all
        connect, tries = line.connect_check_health, []  # type: ignore[attr-defined]

        def counted(*arguments: Any, **options: Any) -> None:
            tries.append(1)
            connect(*arguments, **options)

        monkeypatch.setattr(line, "connect_check_health", counted)
        with pytest.raises(redis.ConnectionError):
            lines.ask("ECHO", "gone")
        assert len(tries) == 1
        lines.close()


def test_nobody_waits_longer_than_the_socket() -> None:
    assert MAX_BLOCK_SECONDS < SOCKET_SECONDS


def test_pauses_grow_to_a_bound_and_differ() -> None:
    backoff = Backoff(0.1, 0.5)
    pauses = [backoff.next_seconds() for _ in range(100)]
    for pause, middle in zip(pauses, [0.1, 0.2, 0.4, *[0.5] * 97], strict=True):
        assert middle / 2 <= pause <= middle * 1.5
    assert len(set(pauses)) > 90
    backoff.reset()
    assert backoff.next_seconds() <= 0.15
