"""TLS to the broker: whether the files it needs are usable, and why a link could not be made."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from redis.connection import SSLConnection, parse_url

from facestream.errors import BusRefused, SettingsError

ASKING_SECONDS = 2.0
_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = (62, 63, 64)

_NAME_OURS = "name one with ssl_certfile and ssl_keyfile in the address"
_OF_ITS_AUTHORITY = "use one of the authority that the broker trusts"

# What a broker that ends the handshake means by it, by a part of OpenSSL's name for it, and what to do.
_ALERTS = (
    ("CERTIFICATE_REQUIRED", "wants a client certificate", _NAME_OURS),
    ("HANDSHAKE_FAILURE", "wants a client certificate or other ciphers", _NAME_OURS),
    ("CERTIFICATE_EXPIRED", "says that our client certificate has expired", "renew it"),
    ("CERTIFICATE_REVOKED", "says that our client certificate was revoked", "use another"),
    ("UNKNOWN_CA", "does not know who signed our client certificate", _OF_ITS_AUTHORITY),
    ("ALERT_BAD_CERTIFICATE", "does not accept our client certificate", _OF_ITS_AUTHORITY),
    ("CERTIFICATE_UNKNOWN", "does not accept our client certificate", _OF_ITS_AUTHORITY),
    ("PROTOCOL_VERSION", "speaks another version of TLS", "see its tls-protocols"),
    ("WRONG_VERSION_NUMBER", "does not speak TLS there", "use redis://, or the port of its tls-port"),
)
_PLAIN_REPLIES = (b"+PONG", b"-NOAUTH", b"-DENIED", b"-ERR")


def check_options(options: Mapping[str, Any]) -> None:
    """Raises SettingsError, naming the option and no path, when what the address names cannot be used."""
    if options.get("connection_class") is SSLConnection:
        _context(options)


def refusal(address: str, error: BaseException) -> BusRefused | None:
    """What to do about it, when certificates or TLS are what keeps us from the broker; else None."""
    trouble = _cause(error)
    if isinstance(trouble, ssl.SSLCertVerificationError):
        what, remedy = _distrusted(trouble.verify_code)
        why = trouble.verify_message.rstrip(".")
        return BusRefused(f"the certificate of the broker at {address} {what} ({why}): {remedy}")
    for name, what, remedy in _ALERTS:
        if trouble is not None and name in f"{trouble.reason} {trouble}":
            return BusRefused(f"the broker at {address} {what} ({trouble.reason}): {remedy}")
    return None


def ask_why(url: str, address: str) -> BusRefused | None:
    """Why a broker that is there did not answer: TLS on one side only, or a certificate that it wants.

    Under TLS 1.3 a server's reason comes after the handshake, and is lost to whoever writes at once.
    """
    options = parse_url(url)  # type: ignore[no-untyped-call]
    at = (options.get("host") or "localhost", int(options.get("port") or 6379))
    if "path" in options:
        return None
    if options.get("connection_class") is not SSLConnection:
        if _speaks_tls(at):
            return BusRefused(f"the broker at {address} speaks TLS (we did not): use rediss://")
        return None
    if _speaks_plainly(at):
        remedy = "use redis://, or the port of its tls-port"
        return BusRefused(f"the broker at {address} does not speak TLS there (it answers without): {remedy}")
    context = _context({**options, "ssl_cert_reqs": "none"})
    try:
        with socket.create_connection(at, ASKING_SECONDS) as line, context.wrap_socket(line) as secured:
            secured.recv(1)
    except OSError as error:
        return refusal(address, error)
    return None


def _context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """As the driver makes it; tried here first, since its own errors name neither option nor remedy."""
    wanted = str(options.get("ssl_cert_reqs") or "required")
    if wanted not in ("none", "optional", "required"):
        raise SettingsError("ssl_cert_reqs in the broker's address is none, optional or required")
    context = ssl.create_default_context()
    if wanted == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for option, argument in (
        ("ssl_ca_certs", "cafile"),
        ("ssl_ca_path", "capath"),
        ("ssl_ca_data", "cadata"),
    ):
        if options.get(option):
            with _told(option, "no certificate in PEM is there"):
                context.load_verify_locations(**{argument: options[option]})
    if certificate := options.get("ssl_certfile"):
        # Without an answer of ours OpenSSL would ask at the terminal for the password of an encrypted key.
        password = options.get("ssl_password") or ""
        wrong = "they are not the two parts of one certificate in PEM; an encrypted key needs ssl_password"
        with _told("ssl_certfile or ssl_keyfile", wrong):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), password)
    return context


@contextlib.contextmanager
def _told(option: str, wrong: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise SettingsError(f"{option} in the broker's address: {wrong}") from None
    except OSError as error:
        raise SettingsError(f"{option} in the broker's address cannot be read ({error.strerror})") from None


def _distrusted(code: int) -> tuple[str, str]:
    if code == _EXPIRED:
        return "has expired", "renew it there"
    if code == _NOT_YET:
        return "is not valid yet", "compare the clocks of the two machines"
    if code in _OTHER_NAME:
        return "was made for another name", "use that name in the address"
    return "is of no authority known here", "name that with ?ssl_ca_certs=/path/ca.crt in the address"


def _cause(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _speaks_plainly(at: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(at, ASKING_SECONDS) as line:
        line.sendall(b"PING\r\n")
        return line.recv(16).startswith(_PLAIN_REPLIES)
    return False


def _speaks_tls(at: tuple[str, int]) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(at, ASKING_SECONDS) as line, context.wrap_socket(line):
            return True
    except ssl.SSLError as error:
        return "ALERT" in f"{error.reason}"
    except OSError:
        return False
