"""Webhook: batches of records as signed HTTP requests."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from facestream import __version__
from facestream.errors import SinkRefused, SinkUnavailable, UsageError
from facestream_sinks.address import Address
from facestream_sinks.record import Record
from facestream_sinks.signing import Signer
from facestream_sinks.sink import Limits

# What these say is about the batch: sent again, it would be refused again.
REFUSING = frozenset({400, 413, 422})
MAX_RETRY_AFTER_SECONDS = 300.0
_MAX_REPLY_BYTES = 64 << 10


class WebhookSink:
    """POSTs records to an address; any 2xx says that the receiver has them. Redirects are not followed.

    Raises UsageError for an authority that cannot be read.
    """

    def __init__(
        self,
        address: Address,
        signer: Signer,
        *,
        limits: Limits,
        timeout_seconds: float,
        ca_file: Path | None = None,
    ) -> None:
        self.limits, self.shown = limits, address.shown
        self._url, self._signer = address.reveal(), signer
        timeout = urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds)
        if ca_file is not None and not ca_file.is_file():
            raise UsageError(f"--ca-file {ca_file} is no file")
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=timeout,
            ca_certs=str(ca_file) if ca_file else None,
        )

    def deliver(self, records: Sequence[Record]) -> None:
        body = b'{"records":[' + b",".join(record.body for record in records) + b"]}"
        status, retry_after = self._post(body, _message_of(records))
        if status in REFUSING:
            raise SinkRefused(f"{self.shown} answers {status} to {_counted(records)}")
        if not 200 <= status < 300:
            raise SinkUnavailable(f"{self.shown} answers {status}{_hint(status)}", retry_after)

    def rest(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        self._pool.clear()

    def _post(self, body: bytes, message: str) -> tuple[int, float | None]:
        headers = {
            "content-type": "application/json",
            "user-agent": f"facestream/{__version__}",
            # By the time of this try: a receiver may refuse what is old.
            **self._signer.headers(message, int(time.time()), body),
        }
        try:
            reply = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                reply.read(_MAX_REPLY_BYTES)
            finally:
                # A longer answer than that is not waited for.
                (reply.release_conn if reply.closed else reply.close)()
        except (HTTPError, OSError, ValueError) as error:
            # Not in the library's words: they hold the address, which may hold a token.
            raise SinkUnavailable(f"{self.shown} does not answer ({_reason(error)})") from None
        return reply.status, _seconds(reply.headers.get("retry-after"))


def _message_of(records: Sequence[Record]) -> str:
    """The same for the same records, however often they are sent."""
    return hashlib.sha256("\n".join(record.key for record in records).encode()).hexdigest()[:32]


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after[:9]), MAX_RETRY_AFTER_SECONDS) or None


def _reason(error: BaseException) -> str:
    """A few words: what went wrong below the library's own wrapping, or what that is called."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not to be trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What is wrapped in an error, the error itself last."""
    for wrapped in (getattr(error, "reason", None), error.__cause__, *error.args):
        if isinstance(wrapped, BaseException):
            yield from _causes(wrapped)
    yield error


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return ", a redirect, which is not followed: give the address that it leads to"
    if status in (401, 403):
        return ": is the secret the receiver's?"
    if status in (404, 405, 410):
        return ": is the address right?"
    return ""


def _counted(records: Sequence[Record]) -> str:
    return records[0].key if len(records) == 1 else f"{len(records)} records"
