"""The first contact: what cannot be used is refused in one clear line, which holds no password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from facestream.broker import EmbeddedBroker
from facestream.bus.client import check_fit, server_version
from facestream.bus.connection import Connection, script
from facestream.bus.keys import SLOTS, Keys, partition_tag
from facestream.bus.probe import probe
from facestream.errors import BusRefused, BusUnavailable, FacestreamError, SettingsError
from support.bus import free_port, listening, running_server

PASSWORD = "s3cr3tZQX"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The socket of a server that wants a password."""
    with running_server("--requirepass", PASSWORD) as url:
        yield url.removeprefix("unix://")


def refused(kind: type[FacestreamError], url: str, prefix: str = "fs") -> str:
    """The one line with which a connection is refused."""
    with pytest.raises(kind) as refusal:
        Connection(url, prefix=prefix)
    message = str(refusal.value)
    assert type(refusal.value) is kind
    assert "\n" not in message
    assert "ZQX" not in message
    assert len(message) < 400
    return message


# Passwords


def test_the_right_password_opens(guarded: str, prefix: str) -> None:
    connection = Connection(f"unix://:{PASSWORD}@{guarded}", prefix=prefix)
    assert PASSWORD not in connection.address
    connection.close()


@pytest.mark.parametrize("credentials", ["", ":ZQXwrong@", "ZQXsomebody:ZQXwrong@"])
def test_a_wrong_password_is_refused(guarded: str, credentials: str) -> None:
    message = refused(BusRefused, f"unix://{credentials}{guarded}")
    assert "credentials" in message
    assert "FACESTREAM_REDIS" in message


def test_a_server_that_repeats_what_it_does_not_know_repeats_no_password() -> None:
    """`ERR unknown command 'AUTH', with args beginning with: '<the password>'`."""
    with running_server("--rename-command", "AUTH", "", credentials=f":{PASSWORD}@") as url:
        refused(BusRefused, url)


# Servers that would lose frames


def test_a_server_that_evicts_is_refused() -> None:
    with running_server("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as url:
        message = refused(BusRefused, url)
    assert "allkeys-lru" in message
    assert "noeviction" in message


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        ({"redis_version": "6.2.14"}, "redis 6.2.14: redis 7.0 or newer"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "7.0.1"}, "valkey 7.0.1"),
        ({}, "redis 0.0"),
        ({"redis_version": "unstable"}, "redis unstable"),
    ],
)
def test_a_server_that_is_too_old_is_refused(info: dict[str, str], kind: str) -> None:
    """None that old can be had everywhere: this is about what it says of itself."""
    with pytest.raises(BusRefused, match=kind):
        check_fit(info, "redis://broker")


@pytest.mark.parametrize("version", ["7.0", "7.0.15", "8.2.3", "10.0-rc1", "7.4-m01"])
def test_a_server_that_is_new_enough_is_taken(version: str) -> None:
    check_fit({"redis_version": version}, "redis://broker")
    assert server_version({"redis_version": version}) == ("redis", version)


# No server at all


def test_nobody_listening() -> None:
    message = refused(BusUnavailable, f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
    assert "127.0.0.1" in message
    assert "no broker answers" in refused(BusUnavailable, "unix:///nowhere/at/all.sock")


GARBAGE = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "a secure shell": b"SSH-2.0-OpenSSH_9.2\r\n",
    "yes to everything": b"+OK\r\n",
    "a number": b":1\r\n",
    "nothing at all": b"$-1\r\n",
    "a list": b"*1\r\n$1\r\na\r\n",
    "an empty text": b"$0\r\n\r\n",
    "a version that is none": b"$21\r\nredis_version:banana\r\n\r\n",
    "binary": bytes(range(256)),
    "an error": b"-ERR go away\r\n",
    "itself": None,
}


@pytest.mark.parametrize("what", GARBAGE)
@pytest.mark.parametrize("credentials", ["", f":{PASSWORD}@"])
def test_what_is_no_broker_is_refused(what: str, credentials: str) -> None:
    with listening(GARBAGE[what]) as port, pytest.raises(FacestreamError) as refusal:
        Connection(f"redis://{credentials}127.0.0.1:{port}/0")
    assert isinstance(refusal.value, BusRefused | BusUnavailable)
    message = str(refusal.value)
    assert f"127.0.0.1:{port}" in message
    assert "\n" not in message
    assert "ZQX" not in message


@pytest.mark.parametrize("what", ["a web server", "a number", "a list", "nothing at all", "itself"])
def test_a_look_at_what_is_no_broker_says_so(what: str) -> None:
    with listening(GARBAGE[what]) as port, pytest.raises(BusRefused, match="no Redis or Valkey server"):
        probe(f"redis://127.0.0.1:{port}/0", "fs")


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "",
        "broker",
        "broker:6379",
        "http://broker",
        ":ZQX@broker:6379",
        "user:ZQX@broker",
        "redis://user:ZQX/pass@broker:6379",
        "redis://:ZQX#pass@broker:6379",
        "redis://:ZQX?pass@broker:6379",
        "redis://:se[ZQX@broker:6379",
        "redis://broker:port",
        "redis://broker:70000",
        "redis://broker/0?db=x",
        "redis://broker/0?no_such_option=x",
        "redis://broker/0?socket_timeout=x",
        "redis://" + "x" * 70,
        "redis://a..b",
        "unix:///run/a\0b",
        "unix://" + "/x" * 80,
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Characters that must be written %40, %23, %2F and %3F in a password break an address apart."""
    with pytest.raises(FacestreamError) as refusal:
        Connection(address)
    assert isinstance(refusal.value, SettingsError | BusUnavailable)
    assert "\n" not in str(refusal.value)
    assert "ZQX" not in str(refusal.value)


# The deployment


def test_the_first_founds_the_deployment_and_others_agree(broker: EmbeddedBroker, prefix: str) -> None:
    first = Connection(broker.url, prefix=prefix, partitions=3)
    second = Connection(broker.url, prefix=prefix)
    third = Connection(broker.url, prefix=prefix, partitions=3)
    assert {c.incarnation for c in (first, second, third)} == {first.incarnation}
    assert [c.keys.partitions for c in (first, second, third)] == [3, 3, 3]
    for connection in (first, second, third):
        connection.close()


def test_another_number_of_partitions_is_refused(broker: EmbeddedBroker, prefix: str) -> None:
    Connection(broker.url, prefix=prefix, partitions=3).close()
    with pytest.raises(BusRefused, match="has 3 partitions, not 4"):
        Connection(broker.url, prefix=prefix, partitions=4)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("contract", "2", "contract version 2"),
        ("contract", "", "contract version"),
        ("partitions", "many", "partitions"),
        ("partitions", "0", "partitions"),
        ("partitions", "-1", "partitions"),
        ("partitions", "16385", "partitions"),
        ("partitions", b"\xff", "partitions"),
    ],
)
def test_a_deployment_of_another_kind_is_refused(
    broker: EmbeddedBroker, connection: Connection, field: str, value: str, said: str
) -> None:
    connection.read("HSET", connection.keys.meta, field, value)
    assert said in refused(BusRefused, broker.url, connection.keys.prefix)


def test_a_key_that_holds_something_else_is_refused(broker: EmbeddedBroker, connection: Connection) -> None:
    connection.read("DEL", connection.keys.meta)
    connection.read("SET", connection.keys.meta, "somebody else's")
    assert "WRONGTYPE" in refused(BusRefused, broker.url, connection.keys.prefix)


# Keys


@pytest.mark.parametrize("partitions", [1, 2, 3, 6, 48, 100])
def test_partitions_spread_evenly_over_three_masters(partitions: int) -> None:
    keys = Keys("fs", partitions)
    slots = [key_slot(keys.results(partition).encode()) for partition in range(partitions)]
    assert len(set(slots)) == partitions
    ends = [SLOTS * master // 3 for master in range(4)]
    of_master = [sum(ends[m] <= slot < ends[m + 1] for slot in slots) for m in range(3)]
    assert sum(of_master) == partitions
    assert max(of_master) - min(of_master) <= 1


def test_all_keys_of_a_partition_share_its_slot() -> None:
    keys = Keys("fs", 48)
    for camera in ("gate-2", "a", "lobby.left"):
        partition = keys.partition(camera)
        names = [keys.frames(camera), keys.ledger(camera), keys.cameras(partition), keys.ready(partition)]
        names += [keys.held(partition, "w"), keys.orphans(partition), keys.workers(partition)]
        names += [keys.sweeper(partition), keys.results(partition), keys.rejects(partition)]
        assert len({key_slot(name.encode()) for name in names}) == 1
        assert len(set(names)) == len(names)


def test_tags_never_change() -> None:
    """Frames and results of running deployments lie under them."""
    assert partition_tag(0, 1) == "0"
    assert [partition_tag(partition, 3) for partition in range(3)] == ["3", "1", "0"]
    assert [partition_tag(partition, 48) for partition in range(4)] == ["10", "18", "263", "25"]


# The scripts


def test_a_broker_that_has_forgotten_the_scripts_is_told_them_again(connection: Connection) -> None:
    ledger, frames = connection.keys.ledger("cam"), connection.keys.frames("cam")
    assert connection.call("look", [ledger, frames], [])[0] == 0
    connection.read("SCRIPT", "FLUSH")
    assert connection.read("SCRIPT", "EXISTS", script("look").sha) == [False]
    assert connection.call("look", [ledger, frames], [])[0] == 0
