"""`facestream sink webhook`."""

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

HELP = """POST results to an address, signed, as {"records": [...]}.

Any 2xx says that the receiver has them. 400, 413 and 422 refuse a batch: it is halved until the record
that is in the way is found, which is parked. Anything else is tried again, for as long as it takes.

The secret comes from --secret-file or FACESTREAM_SINK_SECRET; `openssl rand -hex 32` makes one. Each
request carries webhook-id, webhook-timestamp and webhook-signature, as Standard Webhooks has them.

Example:  facestream sink webhook https://example.org/hook --secret-file secret --camera lobby
"""


def webhook(
    url: Annotated[str, typer.Argument(help="The receiver, as https://host/path.")],
    redis: Redis = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="The secret to sign with; FACESTREAM_SINK_SECRET unless given.")
    ] = None,
    camera: Cameras = None,
    group: Group = None,
    start: Start = "latest",
    batch: Annotated[int, typer.Option(help="Records in a request, at most.", min=1, max=1000)] = 100,
    batch_kb: Annotated[
        int, typer.Option(help="Its size in KB, at most, unless one record is larger.", min=1, max=100_000)
    ] = 1000,
    timeout: Timeout = 10.0,
    ca_file: CaFile = None,
    allow_cleartext: AllowCleartext = False,
    parked: Parked = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> int:
    from facestream.errors import UsageError
    from facestream_sinks.address import Address, refuse_in_the_clear
    from facestream_sinks.running import carry
    from facestream_sinks.secret import VARIABLE, read_secret
    from facestream_sinks.signing import Signer
    from facestream_sinks.sink import Limits
    from facestream_sinks.webhook import WebhookSink

    address = Address(url, {"https": 443, "http": 80})
    refuse_in_the_clear(address, "http", "https", allowed=allow_cleartext)

    def make_sink(settings: Settings, say: Callable[[str], None]) -> Sink:
        secret = read_secret(secret_file, settings, say)
        if secret is None:
            raise UsageError(f"which secret signs? --secret-file FILE or {VARIABLE}; openssl rand -hex 32")
        limits = Limits(batch, batch_kb * 1000)
        return WebhookSink(address, Signer(secret), limits=limits, timeout_seconds=timeout, ca_file=ca_file)

    common = Common(redis, camera, group, start, metrics_port, metrics_host, parked)
    return carry(common, "webhook", address.reveal(), make_sink)
