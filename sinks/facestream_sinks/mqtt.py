"""MQTT: each record a message of its own, acknowledged by the broker it goes to (QoS 1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from facestream.camera_url import Secret
from facestream.errors import SinkRefused, SinkUnavailable, UsageError
from facestream_sinks.address import Address
from facestream_sinks.record import Record
from facestream_sinks.sink import Limits

SCHEMES = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_SECONDS = 30
IN_FLIGHT = 64
# What these say is about the message: topic name invalid, packet too large, payload format invalid.
REFUSING = frozenset({0x90, 0x95, 0x99})
_OVERHEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class Topics:
    """Where messages go. results: with {camera} in it where each camera has its own."""

    results: str
    missed: str

    def __post_init__(self) -> None:
        for topic in (self.results, self.missed):
            plain = topic.replace("{camera}", "")
            if not topic or any(character in plain for character in "+#{}\0") or topic.startswith("$"):
                raise UsageError(
                    f"--topic {topic!r}: levels separated by /, without + and #; {{camera}} for the camera"
                )

    def of(self, record: Record) -> str:
        if record.kind == "missed":
            return self.missed.replace("{camera}", "all")
        return self.results.replace("{camera}", record.camera or "all")


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the broker, and whom we trust."""

    user: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class MqttSink:
    """Publishes to an MQTT broker, version 5; connects when there is something to send."""

    limits = Limits(records=256, bytes=4 << 20)

    def __init__(self, address: Address, topics: Topics, login: Login, timeout_seconds: float) -> None:
        self.shown = address.shown
        self._address, self._topics, self._login = address, topics, login
        self._timeout = timeout_seconds
        self._link: _Link | None = None
        self._client()  # a certificate that cannot be read is said now

    def deliver(self, records: Sequence[Record]) -> None:
        link = self._link
        if link is None or link.is_lost:
            self.close()
            link = self._link = _Link(self._client(), self._address, self._timeout)
        for record in records:
            if link.most_bytes and len(record.body) + _OVERHEAD_BYTES > link.most_bytes:
                raise SinkRefused(f"{self.shown} takes {link.most_bytes} bytes at most")
        try:
            link.publish([(self._topics.of(record), record.body) for record in records])
        except SinkUnavailable:
            self.close()  # what was on its way is sent again, on a link that knows nothing of it
            raise

    def rest(self) -> None:
        """The library's thread keeps the link alive."""

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _client(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        login = self._login
        client.max_inflight_messages_set(IN_FLIGHT)
        client.connect_timeout = self._timeout
        if login.user is not None:
            client.username_pw_set(login.user, login.password.reveal() if login.password else None)
        if self._address.scheme == "mqtts":
            files = (login.ca_file, login.cert_file, login.key_file)
            ca_file, cert_file, key_file = (str(path) if path else None for path in files)
            try:
                client.tls_set(ca_file, cert_file, key_file)
            except (OSError, ValueError) as error:
                raise UsageError(f"a certificate or key of TLS cannot be used ({error})") from None
        return client


class _Link:
    """One connection, made when this is. most_bytes: the largest message the broker takes; 0: any."""

    def __init__(self, client: paho.Client, address: Address, timeout_seconds: float) -> None:
        self._client, self._shown, self._timeout = client, address.shown, timeout_seconds
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._welcome: list[ReasonCode] = []
        self._lost: str | None = None
        self.most_bytes = 0
        client.on_connect, client.on_publish = self._on_connect, self._on_publish
        client.on_disconnect = self._on_disconnect
        try:
            client.connect(address.host, address.port, KEEPALIVE_SECONDS)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SinkUnavailable(f"no MQTT broker answers at {self._shown} ({reason})") from None
        client.loop_start()
        self._wait(lambda: bool(self._welcome))
        if self._welcome[0].is_failure:
            self.close()
            raise SinkUnavailable(f"the MQTT broker at {self._shown} does not let us in ({self._welcome[0]})")

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Return when every message is acknowledged; raises SinkRefused for one that never will be."""
        self._answers.clear()
        numbers = set()
        for topic, body in messages:
            info = self._client.publish(topic, body, qos=1)
            if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
                raise SinkUnavailable(f"the MQTT broker at {self._shown}: {paho.error_string(info.rc)}")
            numbers.add(info.mid)
        self._wait(lambda: numbers <= self._answers.keys())
        failed = [self._answers[number] for number in numbers if self._answers[number].is_failure]
        if failed:
            kind = SinkRefused if failed[0].value in REFUSING else SinkUnavailable
            raise kind(f"the MQTT broker at {self._shown} refused a message ({failed[0]})")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, is_there: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: is_there() or self.is_lost, self._timeout)
            came = is_there()  # who does not let us in says so, and hangs up
        if not came:
            why = self._lost or "no answer in time"
            self.close()
            self._lost = why
            raise SinkUnavailable(f"the MQTT broker at {self._shown} is gone ({why})")

    # Called in the library's thread

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Any) -> None:
        with self._changed:
            self._welcome.append(reason)
            self.most_bytes = getattr(properties, "MaximumPacketSize", 0) or 0
            self._changed.notify_all()

    def _on_publish(
        self, _client: Any, _data: Any, number: int, reason: ReasonCode, _properties: Any
    ) -> None:
        with self._changed:
            self._answers[number] = reason
            self._changed.notify_all()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        with self._changed:
            self._lost = str(reason)
            self._changed.notify_all()
