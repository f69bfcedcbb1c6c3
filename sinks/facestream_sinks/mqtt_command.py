"""`facestream sink mqtt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import MetricsHost, MetricsPort, Redis
from facestream_sinks.parameters import (
    AllowCleartext,
    CaFile,
    Cameras,
    Common,
    Group,
    Parked,
    Start,
    Timeout,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from facestream.settings import Settings
    from facestream_sinks.sink import Sink

HELP = """Publish each result as a message to an MQTT broker (version 5), with QoS 1.

A message is done when the broker has acknowledged it. The password comes from --password-file or
FACESTREAM_SINK_SECRET. mqtts:// is TLS.

Example:  facestream sink mqtt mqtts://mqtt.example.org --topic 'shop/faces/{camera}' --username shop
"""


def mqtt(
    url: Annotated[str, typer.Argument(help="The broker, as mqtts://host or mqtt://host:1883.")],
    redis: Redis = None,
    topic: Annotated[
        str, typer.Option(help="Of each result; {camera} stands for the camera's name.")
    ] = "facestream/results/{camera}",
    missed_topic: Annotated[
        str, typer.Option(help="Of the messages that say what was missed.")
    ] = "facestream/missed",
    username: Annotated[str | None, typer.Option(help="Who we are to the MQTT broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Its password; FACESTREAM_SINK_SECRET unless given.")
    ] = None,
    ca_file: CaFile = None,
    cert_file: Annotated[Path | None, typer.Option(help="Our certificate, a PEM file.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="The key of it, a PEM file.")] = None,
    camera: Cameras = None,
    group: Group = None,
    start: Start = "latest",
    timeout: Timeout = 10.0,
    allow_cleartext: AllowCleartext = False,
    parked: Parked = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> int:
    from facestream.errors import UsageError
    from facestream_sinks.address import Address, refuse_in_the_clear
    from facestream_sinks.mqtt import SCHEMES, Login, MqttSink, Topics
    from facestream_sinks.running import carry
    from facestream_sinks.secret import read_secret

    address, topics = Address(url, SCHEMES), Topics(topic, missed_topic)
    if address.path not in ("", "/"):
        raise UsageError("an MQTT broker's address has no path: the topic is --topic")
    if password_file and not username:
        raise UsageError("--password-file goes with --username: say whose password it is")
    refuse_in_the_clear(address, "mqtt", "mqtts", allowed=allow_cleartext)

    def make_sink(settings: Settings, say: Callable[[str], None]) -> Sink:
        password = read_secret(password_file, settings, say) if username else None
        login = Login(username, password, ca_file, cert_file, key_file)
        return MqttSink(address, topics, login, timeout)

    common = Common(redis, camera, group, start, metrics_port, metrics_host, parked)
    return carry(common, "mqtt", f"{address.reveal()}\n{topic}", make_sink)
