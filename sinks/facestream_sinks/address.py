"""Addresses of receivers, which are shown without what may be a secret."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from facestream.camera_url import Secret
from facestream.errors import UsageError


class Address(Secret):
    """A URL of one of the `schemes`. Shown as scheme, host and port: a path or query may hold a token.

    Raises UsageError, which repeats none of it, for anything else, and for one with a user or password in it.
    """

    __slots__ = ("host", "path", "port", "scheme")

    def __init__(self, text: str, schemes: dict[str, int]) -> None:
        super().__init__(text.strip())
        known = " or ".join(f"{scheme}://host/…" for scheme in schemes)
        try:
            parts = urlsplit(text.strip())
            self.scheme, self.host, self.path = parts.scheme, parts.hostname or "", parts.path
            self.port = parts.port or schemes.get(self.scheme, 0)
        except ValueError:
            raise UsageError(f"this is no address: use {known}") from None
        if self.scheme not in schemes or not self.host or not text.isprintable() or " " in text.strip():
            raise UsageError(f"this is no address: use {known}")
        if "@" in parts.netloc:
            raise UsageError(
                "the address holds a user or password, which process lists show: give them as --help says"
            )

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return self.shown


def refuse_in_the_clear(address: Address, plain: str, safe: str, *, allowed: bool) -> None:
    """Results are about people: raises UsageError where they would cross a network for all to read."""
    if address.scheme == plain and not address.is_loopback and not allowed:
        raise UsageError(
            f"{address.shown} would get the results in the clear: use {safe}://, or say --allow-cleartext"
        )
