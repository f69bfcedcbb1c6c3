"""The driver's errors, translated at the border into what the caller must do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as driver

from facestream.bus import tls
from facestream.errors import BusError, BusFull, BusRefused, BusUnavailable
from facestream.redaction import redact

_NOT_NOW = ("LOADING", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "BUSY", "UNBLOCKED")
# The driver has types for these, and takes the word that _NOT_NOW looks for from their text. A slot that has
# moved is known when contact is made anew.
_PASSING = (driver.AskError, driver.ClusterError, driver.TryAgainError, driver.ReadOnlyError)
_NOT_YOU = ("NOAUTH", "WRONGPASS", "DENIED")
# What the driver raises over a reply of another shape than Redis gives.
STRANGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NO_GROUP, _HAS_GROUP = "NOGROUP", "BUSYGROUP"
_NOT_THIS = ("NOPERM", "ACL failure in script", "The user executing the script")


class GroupGone(BusUnavailable):
    """The consumer group is not there: found it, or found it again."""


class GroupExists(BusRefused):
    """Somebody has founded the consumer group already."""


@contextmanager
def translated(address: str, user: str = "default", action: str = "connect") -> Iterator[None]:
    """Everything the driver raises inside becomes a BusError that names the (redacted) address.

    user, action: who wants to do what, for the line that says it is not allowed.
    """
    try:
        yield
    except driver.NoPermissionError as error:
        raise BusRefused(_forbidden(address, user, action, error)) from None
    except (driver.AuthenticationError, driver.AuthorizationError) as error:
        raise BusRefused(_refused(address, error)) from None
    except driver.OutOfMemoryError:
        raise BusFull(f"the broker at {address} is full: give it more maxmemory, or publish less") from None
    except (driver.ConnectionError, driver.TimeoutError, driver.RedisClusterException, OSError) as error:
        # The driver that awaits its replies hides this in an error of the connection.
        if isinstance(error.__cause__, driver.AuthenticationError):
            raise BusRefused(_refused(address, error.__cause__)) from None
        if refusal := tls.refusal(address, error):
            raise refusal from None
        raise BusUnavailable(f"no broker answers at {address} ({_reason(error)})") from None
    except driver.InvalidResponse as error:
        raise stranger(address, error) from None
    except _PASSING as error:
        raise BusUnavailable(f"the broker at {address} is not ready ({_reason(error)})") from None
    except driver.RedisError as error:
        if any(sign in str(error) for sign in _NOT_THIS):
            raise BusRefused(_forbidden(address, user, action, error)) from None
        raise _by_prefix(address, error) from None


@contextmanager
def first_contact(url: str, address: str, user: str = "default", action: str = "connect") -> Iterator[None]:
    """Like `translated`, for a server of which nothing is known: it may be no broker at all.

    One that does not answer is asked whether TLS, or the lack of it, is why.
    """
    try:
        with translated(address, user, action):
            yield
    except BusUnavailable as error:
        raise tls.ask_why(url, address) or error from None
    except STRANGE as error:
        raise stranger(address, error) from None


def _by_prefix(address: str, error: Exception) -> BusError:
    text = str(error)
    if text.startswith("OOM"):
        return BusFull(f"the broker at {address} is full: give it more maxmemory, or publish less")
    if text.startswith(_NO_GROUP):
        return GroupGone(f"the broker at {address} has no such group ({_reason(error)})")
    if text.startswith(_HAS_GROUP):
        return GroupExists(f"the broker at {address} has that group ({_reason(error)})")
    if text.startswith(_NOT_NOW):
        return BusUnavailable(f"the broker at {address} is not ready ({_reason(error)})")
    if text.startswith(_NOT_YOU):
        return BusRefused(_refused(address, error))
    return BusRefused(f"the broker at {address} refused a command ({_reason(error)})")


def _refused(address: str, error: Exception) -> str:
    return (
        f"the broker at {address} refused these credentials ({_reason(error)}): "
        "check the user and password in --redis or FACESTREAM_REDIS"
    )


def _forbidden(address: str, user: str, action: str, error: Exception) -> str:
    # After the script's name come its hash and line, of no use to whoever sets rights.
    reason = _reason(error).partition(" script: ")[0].removeprefix("ERR ")
    return (
        f"the broker at {address} does not let user {user!r} {action} ({reason}): "
        "docs/security.md has the rights each user needs; name another in --redis or FACESTREAM_REDIS"
    )


def stranger(address: str, error: Exception) -> BusRefused:
    why = type(error).__name__
    return BusRefused(f"what answers at {address} is no Redis or Valkey server ({why}): check the address")


def _reason(error: Exception) -> str:
    # A server that does not know a command repeats its arguments, and AUTH's are a password.
    text = re.split(r",? with args", str(error))[0]
    return redact(" ".join(text.split()))[:200].rstrip(".") or type(error).__name__
