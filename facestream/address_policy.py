"""What a camera's address may reach: no service of the producer's own machine, no file nobody has allowed.

Whoever may add a camera has the producer open what he names. So loopback and link-local hosts, where a
machine's own services and a cloud's credentials are, and files are refused unless the operator allows them.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facestream.errors import UsageError

if TYPE_CHECKING:
    from facestream.settings import Settings

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOCAL_NAMES = frozenset(
    ["localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost"]
    + ["ip6-loopback"]
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """`folders`: below these a camera may be a file. `allow_loopback`: also this machine's own services.

    `camera_ca`: over TLS only whom an authority in this file has certified; None: whoever answers.
    """

    folders: tuple[Path, ...] = ()
    allow_loopback: bool = False
    camera_ca: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> AddressPolicy:
        return cls(settings.source_folder_paths, settings.allow_loopback_cameras, settings.camera_ca)

    def check_host(self, host: str) -> None:
        """Raises UsageError for a host that is this machine by its name or number; asks no name server."""
        if self.allow_loopback:
            return
        name = host.rstrip(".").lower()
        number = _number(name)
        if name in _LOCAL_NAMES or name.endswith(".localhost") or (number is not None and _is_local(number)):
            raise UsageError(_refused(host))

    def check_resolved(self, host: str) -> list[str]:
        """The host's addresses; for a producer, before it connects, since a name may lead anywhere.

        Empty when the name is not known now. Raises UsageError when any of them is this machine's.
        """
        self.check_host(host)
        try:
            found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        addresses = sorted({str(entry[4][0]) for entry in found})
        if not self.allow_loopback:
            for address in addresses:
                number = _number(address)
                if number is None or _is_local(number) or _is_own(number):
                    raise UsageError(_refused(host))
        return addresses

    def check_file(self, path: str) -> Path:
        """Where the file really lies, links followed; raises UsageError unless below a folder named."""
        if not self.folders:
            raise UsageError(
                "files as cameras are not allowed here: name the folders they may lie in, "
                "such as FACESTREAM_SOURCE_FOLDERS=/srv/clips"
            )
        if not path.startswith("/") or path.startswith("//"):
            raise UsageError(
                f"file:{path[:200]} is no whole path: write it from the root, file:/srv/clips/a.mp4"
            )
        try:
            real = Path(path).resolve()
            if any(real.is_relative_to(folder.resolve()) for folder in self.folders):
                return real
        except (OSError, RuntimeError, ValueError):
            pass  # a circle of links, or no path at all
        raise UsageError(
            f"file:{path[:200]} lies outside of the folders that FACESTREAM_SOURCE_FOLDERS allows: "
            "move it there, or name its folder too"
        )


def _refused(host: str) -> str:
    return (
        f"{host[:100]} is this machine itself or link-local, where services that trust it listen: "
        "if a camera is really there, set FACESTREAM_ALLOW_LOOPBACK_CAMERAS=1"
    )


def _number(host: str) -> _Address | None:
    """The address a host is in numbers, also as the system's resolver reads 127.1 or 0x7f000001."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_local(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if embedded is not None:
            return _is_local(embedded)
    elif address in _THIS_NETWORK:
        return True
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _is_own(address: _Address) -> bool:
    """Whether this machine would reach it at an interface of its own; sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except OSError:
        return False
