"""Signatures of what a webhook is sent, by the scheme of Standard Webhooks: HMAC-SHA256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from facestream.camera_url import Secret
from facestream.errors import UsageError

PREFIX = "whsec_"
SHORTEST_BYTES = 16


class Signer:
    """Signs with each line of the secret, so that it can be changed while both ends run.

    A line that begins with whsec_ is base64 of the key, as libraries of Standard Webhooks have it; any other
    is the key itself. Raises UsageError for a key that is none, or too short.
    """

    def __init__(self, secret: Secret) -> None:
        self._keys = [_key(line.strip()) for line in secret.reveal().splitlines() if line.strip()]

    def headers(self, message: str, at_seconds: int, body: bytes) -> dict[str, str]:
        """The headers that prove who sent this body, and when."""
        signed = f"{message}.{at_seconds}.".encode() + body
        signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        return {
            "webhook-id": message,
            "webhook-timestamp": str(at_seconds),
            "webhook-signature": " ".join(f"v1,{signature.decode()}" for signature in signatures),
        }


def _key(line: str) -> bytes:
    key = line.encode()
    if line.startswith(PREFIX):
        try:
            key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            raise UsageError(f"the secret begins with {PREFIX}, but what follows is no base64") from None
    if len(key) < SHORTEST_BYTES:
        raise UsageError(
            f"the secret has {len(key)} bytes: at least {SHORTEST_BYTES}, such as openssl rand -hex 32 makes"
        )
    return key
