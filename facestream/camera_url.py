"""A camera's address, which shows where the camera is and never how to get in."""

from __future__ import annotations

import difflib
import re
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final, NoReturn, Self
from urllib.parse import quote, unquote, unquote_to_bytes

from facestream.address_policy import AddressPolicy
from facestream.errors import UsageError
from facestream.redaction import redact

NETWORK_SCHEMES: Final = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https")
STRUCK: Final = "***"
MAX_LENGTH: Final = 2048
# FFmpeg keeps user and password of an rtsp address in 128 bytes, and cuts off the rest without a word.
MAX_USERINFO: Final = 127

_STRICT: Final = AddressPolicy()
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,15}):")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|\w[\w.-]{0,252})(?::([0-9]{0,5}))?(?=[/?#]|\Z)")
_PLAIN_HOST = re.compile(r"[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_][a-z0-9_-]*)*\.?|\[[0-9a-f:.]+\]")
_DEVICE = re.compile(
    r"[0-9]{1,3}|/dev/(video[0-9]{1,3}|v4l/by-(id|path)/[A-Za-z0-9_:][A-Za-z0-9._:-]{0,199})"
)
_DEMO = re.compile(r"demo:[a-z0-9=.,]{0,100}")
_ESCAPE_OR_CHARACTER = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_STRUCK_VALUE = re.compile(r"[=/?]\*\*\*(?=&|\Z)")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_AS_IT_IS: Final = _UNRESERVED | frozenset("/?:;,=&!$'()*+[]")


class Secret:
    """A text that is kept from every output; `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __str__(self) -> str:
        return STRUCK

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled: its password would lie open; reveal() it")


class CameraUrl(Secret):
    """Where a camera is: `scheme`, `host` (None unless it is on a network), `path` (None unless a file).

    `str`, `repr` and formatting show it without credentials, and so does `without_credentials`, which may
    be stored and shown; `credentials` is None for an address that is whole without them, else all of it, to
    be kept apart. `reveal()` gives the real address, percent-encoded as FFmpeg takes it.
    """

    __slots__ = ("_shown", "host", "path", "scheme")

    def __init__(
        self, real: str, shown: str, scheme: str, host: str | None = None, path: Path | None = None
    ) -> None:
        """For `parse` alone, which checks all of it."""
        super().__init__(real)
        self._shown, self.scheme, self.host, self.path = shown, scheme, host, path

    @classmethod
    def parse(cls, text: str, policy: AddressPolicy = _STRICT) -> Self:
        """The address somebody typed, with a password raw or percent-encoded.

        rtsp, rtsps, rtmp, rtmps, http, https; `file:` with a whole path, taken as it is written; a device
        such as /dev/video0; `demo:`. Raises UsageError, which repeats nothing that may be a password, for
        anything else, for what `policy` does not allow, and for what can be read in two ways.
        """
        text = _checked_text(text)
        if _DEVICE.fullmatch(text):
            return cls(text, text, "device")
        if _DEMO.fullmatch(text):
            return cls(text, text, "demo")
        scheme = _scheme_of(text)
        if scheme == "file":
            written = re.sub(r"\A//(?=/)", "", text[len("file:") :])
            return cls(f"file:{written}", f"file:{written}", scheme, path=policy.check_file(written))
        return cls(*_network_address(scheme, text[len(scheme) + 3 :], policy))

    @property
    def without_credentials(self) -> str:
        return self._shown

    @property
    def credentials(self) -> Secret | None:
        return None if self._shown == self._text else Secret(self._text)

    @property
    def is_network(self) -> bool:
        return self.host is not None

    def __str__(self) -> str:
        return self._shown


def _checked_text(text: str) -> str:
    if not isinstance(text, str):
        raise UsageError(f"an address is text, not {type(text).__name__}")
    text = text.strip()
    if not text:
        raise UsageError("the address is empty")
    if len(text) > MAX_LENGTH:
        raise UsageError(f"the address is longer than {MAX_LENGTH} characters")
    if any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise UsageError("the address holds a line break or another control character: give it in one line")
    return text


def _scheme_of(text: str) -> str:
    found = _SCHEME.match(text)
    known = ", ".join(f"{scheme}://" for scheme in NETWORK_SCHEMES)
    if found is not None:
        scheme = found[1].lower()
        follows = text[found.end() :]
        if scheme == "file" or (scheme in NETWORK_SCHEMES and follows.startswith("//")):
            return scheme
        if follows.startswith("//"):
            nearest = difflib.get_close_matches(scheme, NETWORK_SCHEMES, n=1)
            hint = f"did you mean {nearest[0]}://?" if nearest else f"use one of {known}"
            raise UsageError(f"{scheme}:// is nothing a camera speaks here: {hint}")
    # Not a word of it: what has no scheme may begin with a password.
    raise UsageError(f"this is no camera's address: use {known}, file:/path, demo: or a device, /dev/video0")


def _network_address(scheme: str, rest: str, policy: AddressPolicy) -> tuple[str, str, str, str]:
    userinfo, at, after = rest.rpartition("@")
    if at and _HOST_AND_PORT.match(rest):
        raise UsageError(
            "this address can be read in two ways: in a path or a query write %40 for @, "
            "and in a user or password %2F for /, %3F for ? and %23 for #"
        )
    found = _HOST_AND_PORT.match(after)
    if found is None:
        where = "after the last @" if at else "after ://"
        raise UsageError(
            f"this {scheme} address has no usable host {where}: in a path or query write %40 for @"
        )
    host = _checked_host(found[1], policy)
    host_and_port = host + _port(found[2])
    door = _userinfo(scheme, userinfo)
    tail = _tail(after[found.end() :])
    shown_tail = _shown_tail(tail)
    if userinfo.partition(":")[0] == STRUCK or _STRUCK_VALUE.search(tail):
        raise UsageError(f"{STRUCK} stands where the password was: give the address as the camera takes it")
    shown = f"{scheme}://{STRUCK + '@' if door else ''}{host_and_port}{shown_tail}"
    return f"{scheme}://{door}{host_and_port}{tail}", shown, scheme, host


def _checked_host(host: str, policy: AddressPolicy) -> str:
    try:
        plain = host.lower() if host.isascii() else host.encode("idna").decode().lower()
        if plain.startswith("["):
            plain = f"[{IPv6Address(plain[1:-1])}]"
    except ValueError:
        plain = ""
    if not _PLAIN_HOST.fullmatch(plain) or len(plain) > 253:
        raise UsageError("the host of this address is no name and no number that a network knows")
    policy.check_host(plain)
    return plain


def _port(text: str | None) -> str:
    if not text:
        return ""
    if not 1 <= int(text) <= 65535:
        raise UsageError(f"port {int(text)} does not exist: 1 to 65535")
    return f":{int(text)}"


def _userinfo(scheme: str, raw: str) -> str:
    """`user:password@` as FFmpeg takes it: without a colon it would not log in at all."""
    if not raw:
        return ""
    user, _, password = raw.partition(":")
    parts = [unquote_to_bytes(part) for part in (user, password)]
    if any(byte < 0x20 or byte == 0x7F for part in parts for byte in part):
        raise UsageError("the user or password holds a control character, which no camera takes")
    if b":" in parts[0]:
        raise UsageError("a user name cannot hold a colon: the camera would take the rest for its password")
    encoded = ":".join(quote(part, safe="!$&'()*+,;=") for part in parts)
    if scheme.startswith("rtsp") and len(encoded) > MAX_USERINFO:
        raise UsageError(
            f"user and password take {len(encoded)} characters, percent-encoded: FFmpeg sends {MAX_USERINFO}"
        )
    return encoded + "@"


def _tail(raw: str) -> str:
    """Path and query, percent-encoded; a `#` is a character like others, but may not follow the host."""
    tail = "".join(map(_canonical, _ESCAPE_OR_CHARACTER.findall(raw)))
    return f"/{tail}" if tail.startswith("%") else tail


def _canonical(character: str) -> str:
    """One character of path or query, or one %XX: as it is where it may be, else percent-encoded."""
    if len(character) == 3:
        plain = chr(int(character[1:], 16))
        return plain if plain in _UNRESERVED else character.upper()
    return character if character in _AS_IT_IS else quote(character, safe="")


def _shown_tail(tail: str) -> str:
    shown = redact("x://h" + tail).removeprefix("x://h")
    # What hides a name behind %3D or %26 is struck as a whole.
    plain = "x://h" + re.sub(r"[@\s]", "_", unquote(shown))
    if redact(plain) != plain:
        return shown.partition("?")[0] + f"?{STRUCK}" if "?" in shown else f"/{STRUCK}"
    return shown
