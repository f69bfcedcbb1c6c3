"""MQTT against a real mosquitto: acknowledged, or sent again; nobody's password in any line."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facestream.camera_url import Secret
from facestream.commands.app import build_app, run
from facestream.errors import SinkRefused, SinkUnavailable, UsageError
from facestream_sinks.address import Address
from facestream_sinks.mqtt import SCHEMES, Login, MqttSink, Topics
from facestream_sinks.record import Record
from support.bus import wait_until
from support.certificates import Authority
from support.mosquitto import PROGRAM, WITHOUT, Mosquitto, mosquitto, subscribed
from support.ports import free_port
from support.records import record, records

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason=WITHOUT)
TOPICS = Topics("shop/{camera}/faces", "shop/missed")
MISSED = Record("missed", "missed/0", None, b'{"type":"missed"}', 0)


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as running:
        yield running


def sink_to(port: int, *, scheme: str = "mqtt", timeout_seconds: float = 5.0, **login: object) -> MqttSink:
    address = Address(f"{scheme}://127.0.0.1:{port}", SCHEMES)
    return MqttSink(address, TOPICS, Login(**login), timeout_seconds)  # type: ignore[arg-type]


@needs_mosquitto
def test_each_record_is_a_message_of_its_camera(broker: Mosquitto) -> None:
    with subscribed(broker) as messages, closing(sink_to(broker.port)) as sink:
        sent = [*records(*range(200)), record(1, camera="yard"), MISSED]
        sink.deliver(sent)
        wait_until(lambda: len(messages) == len(sent), "all came")
        sink.deliver([record(9, size=100_000)])
        wait_until(lambda: len(messages) == len(sent) + 1, "on the same link")
    assert [json.loads(body)["seq"] for topic, body in messages if topic == "shop/cam/faces"] == [
        *range(200),
        9,
    ]
    assert {topic for topic, _ in messages} == {"shop/cam/faces", "shop/yard/faces", "shop/missed"}


@needs_mosquitto
def test_a_broker_that_is_killed_is_found_again() -> None:
    broker = Mosquitto()
    broker.start()
    try:
        with closing(sink_to(broker.port)) as sink:
            sink.deliver(records(1))
            broker.kill()
            with pytest.raises(SinkUnavailable, match=r"is gone|no MQTT broker answers"):
                sink.deliver(records(2))
            with pytest.raises(SinkUnavailable, match="no MQTT broker answers at mqtt://127"):
                sink.deliver(records(2))
            broker.start()
            with subscribed(broker) as messages:
                sink.deliver(records(2))
                wait_until(lambda: bool(messages), "it came")
            assert [json.loads(body)["seq"] for _, body in messages] == [2]
    finally:
        broker.close()


def with_password(folder: Path) -> str:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip(WITHOUT)
    passwords = folder / "passwords"
    subprocess.run([tool, "-b", "-c", passwords, "shop", "hush"], check=True, capture_output=True)
    return f"password_file {passwords}"


@needs_mosquitto
def test_only_who_may_is_let_in_and_what_may_not_be_written_is_said(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("user shop\ntopic read #\ntopic write shop/cam/faces\n")
    with mosquitto(with_password(tmp_path), f"acl_file {rules}") as broker:
        for wrong in (Secret("wrong"), None):
            with closing(sink_to(broker.port, user="shop", password=wrong)) as sink:
                with pytest.raises(SinkUnavailable, match="does not let us in") as caught:
                    sink.deliver(records(1))
                assert "wrong" not in str(caught.value)
        login = {"user": "shop", "password": Secret("hush")}
        with (
            subscribed(broker, username="shop", password="hush") as messages,
            closing(sink_to(broker.port, **login)) as sink,
        ):
            sink.deliver(records(1))
            with pytest.raises(SinkUnavailable, match=r"refused a message \(Not authorized\)"):
                sink.deliver([record(2, camera="yard")])
            sink.deliver(records(3))
            wait_until(lambda: len(messages) == 2, "both came")


@needs_mosquitto
def test_what_is_larger_than_the_broker_takes_is_refused_alone() -> None:
    with mosquitto("max_packet_size 2000") as broker, closing(sink_to(broker.port)) as sink:
        sink.deliver(records(1))
        with pytest.raises(SinkRefused, match="takes 2000 bytes at most"):
            sink.deliver([*records(2), record(3, size=3000)])
        sink.deliver(records(2))


@needs_mosquitto
# The library leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_with_certificates_of_both(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    server, client = ours.sign("server", hosts="IP:127.0.0.1"), ours.sign("client")
    settings = (f"cafile {ours.path}", f"certfile {server.path}", f"keyfile {server.key}")
    with mosquitto(*settings, "require_certificate true") as broker:
        good = {"ca_file": ours.path, "cert_file": client.path, "key_file": client.key}
        with closing(sink_to(broker.port, scheme="mqtts", **good)) as sink:
            sink.deliver(records(1))
        bad = good | {"ca_file": others.path}
        with closing(sink_to(broker.port, scheme="mqtts", **bad)) as sink, pytest.raises(SinkUnavailable):
            sink.deliver(records(1))


def test_a_port_that_says_nothing_is_not_waited_for_longer_than_asked() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        closing(sink_to(door.getsockname()[1], timeout_seconds=0.2)) as sink,
        pytest.raises(SinkUnavailable, match="no answer in time"),
    ):
        sink.deliver(records(1))
    with closing(sink_to(free_port())) as sink, pytest.raises(SinkUnavailable, match="Connection refused"):
        sink.deliver(records(1))


@pytest.mark.parametrize("topic", ["", "a/#", "+/a", "$SYS/a", "a/{name}", "a\0b", "{camera"])
def test_what_is_no_topic(topic: str) -> None:
    with pytest.raises(UsageError, match="--topic"):
        Topics(topic, "missed")


def test_a_certificate_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="certificate or key"):
        sink_to(1, scheme="mqtts", ca_file=tmp_path / "nowhere")


def test_a_password_of_nobody_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["sink", "mqtt", "mqtts://localhost", "--password-file", "password"]) == 2
    assert "--password-file goes with --username" in capfd.readouterr().err
