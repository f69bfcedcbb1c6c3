"""A real MQTT broker of its own, on a free port of loopback; and what came to it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support.ports import free_port

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
WITHOUT = "no mosquitto here: apt-get install mosquitto"
PATIENCE_SECONDS = 20.0


class Mosquitto:
    """Keeps sessions and messages over a restart. settings: more lines of its configuration."""

    def __init__(self, *settings: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fsmqtt-")
        self.folder, self.port = Path(self._folder.name), free_port()
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self.folder}/",
        ]
        lines += ["autosave_interval 1", "autosave_on_changes true", "user root", *settings]
        if not any(line.startswith("password_file") for line in settings):
            lines.append("allow_anonymous true")
        self._configuration = self.folder / "mosquitto.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM is not None
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen([PROGRAM, "-c", self._configuration], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()


@contextmanager
def mosquitto(*settings: str) -> Iterator[Mosquitto]:
    broker = Mosquitto(*settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.close()


@contextmanager
def subscribed(broker: Mosquitto, **login: Any) -> Iterator[list[tuple[str, bytes]]]:
    """Every message that comes, by topic; the subscription outlives a restart of the broker."""
    messages: list[tuple[str, bytes]] = []
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, "listener", protocol=MQTTProtocolVersion.MQTTv5)
    client.reconnect_delay_set(1, 1)
    if login:
        client.username_pw_set(**login)
    client.on_connect = lambda *_: client.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _client, _data, message: messages.append((message.topic, message.payload))
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", broker.port, clean_start=False, properties=session)
    client.loop_start()
    try:
        assert ready.wait(PATIENCE_SECONDS)
        yield messages
    finally:
        client.disconnect()
        client.loop_stop()
