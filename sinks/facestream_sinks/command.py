"""`facestream sink`: results carried to files, webhooks and MQTT."""

from __future__ import annotations

import typer

from facestream_sinks.jsonl_command import HELP as JSONL_HELP
from facestream_sinks.jsonl_command import jsonl
from facestream_sinks.mqtt_command import HELP as MQTT_HELP
from facestream_sinks.mqtt_command import mqtt
from facestream_sinks.webhook_command import HELP as WEBHOOK_HELP
from facestream_sinks.webhook_command import webhook

HELP = """Carry results from the broker to where they are wanted: files, a webhook, MQTT.

Each result arrives at least once: it leaves the broker's care when the receiver has it. One may come
twice, after a crash; tell results apart by (camera, epoch, seq). Labels are *apparent*.

Examples:

facestream sink jsonl /srv/results --rotate-minutes 60 --gzip

facestream sink webhook https://example.org/hook --secret-file secret

facestream sink mqtt mqtts://mqtt.example.org --username facestream --password-file password
"""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    group.command("jsonl", help=JSONL_HELP)(jsonl)
    group.command("webhook", help=WEBHOOK_HELP)(webhook)
    group.command("mqtt", help=MQTT_HELP)(mqtt)
    app.add_typer(group, name="sink")
