"""Parameters that several commands take, said the same way everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Redis = Annotated[
    str | None,
    typer.Option(
        "--redis", help="The broker, as redis://, rediss:// or unix://; or FACESTREAM_REDIS.", metavar="URL"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Engine = Annotated[
    str,
    typer.Option(
        help="What computes: auto, openvino-bf16, openvino, onnxruntime, opencv or cuda. `facestream doctor` "
        "says which one auto is here, and why."
    ),
]
MetricsPort = Annotated[int | None, typer.Option(help="Serve Prometheus metrics here.", min=0, max=65535)]
MetricsHost = Annotated[
    str | None,
    typer.Option(
        help="Serve them on this address: one of this machine's, or 0.0.0.0; 127.0.0.1 unless given."
    ),
]
FollowStdin = Annotated[bool, typer.Option("--follow-stdin", hidden=True)]
