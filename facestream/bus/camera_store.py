"""The keys of the registry, each through scripts that touch no other: so it works in a cluster too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from facestream.bus.camera_entry import MAX_BYTES
from facestream.bus.connection import Connection
from facestream.camera_url import MAX_LENGTH
from facestream.errors import BusRefused, UsageError
from facestream.names import MAX_LENGTH as MAX_NAME
from facestream.names import is_camera_name

MAX_CAMERAS: Final = 10_000
MAX_PRODUCERS: Final = 1_000
_REVISION: Final = ":revision"
_PAGE: Final = 500
_MAX_FIELDS: Final = 5 * MAX_CAMERAS

_T = TypeVar("_T")
_Unpack = Callable[[str, bytes], _T | None]


class Kept(Connection):
    """A connection that founds no deployment: the state broker may be another than the frames are on."""

    def _agree(self, meta: str, partitions: int | None) -> tuple[str, int]:
        return "", 1


class CameraStore:
    """`skipped`: how many fields the last scan passed over because facestream did not write them.

    Every method raises BusRefused where another program keeps something of its own under our key.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._connection = Kept(url, prefix=prefix)
        self.address, self._prefix = self._connection.address, prefix
        self.cameras, self.states = f"{prefix}:cameras", f"{prefix}:camera-states"
        self._producers = f"{prefix}:producers"
        self.skipped = 0

    def close(self) -> None:
        self._connection.close()

    def revision(self) -> int:
        found = self._connection.call("entry", [self.cameras], [_REVISION, 20])
        return int(found[0]) if found and found[0].isdigit() else 0

    def read(self, name: str) -> tuple[bytes, str] | None:
        """A camera's packed entry and its sha1; the entry is empty when it is too long to be one."""
        found = self._connection.call("entry", [self.cameras], [name, MAX_BYTES])
        return (found[0], found[1].decode()) if found else None

    def write(self, name: str, seen: str, entry: bytes) -> bool:
        """Write an entry, or remove it when empty; False unless what stands there has the sha1 `seen`."""
        [said] = self._connection.call("enroll", [self.cameras], [name, seen, entry, MAX_CAMERAS])
        if said == b"full":
            raise UsageError(f"the registry has {MAX_CAMERAS} cameras, as many as it takes: remove some")
        if said == b"foreign":
            raise self._foreign(self.cameras)
        return bool(said == b"ok")

    def read_secret(self, name: str, number: str) -> str | None:
        found = self._connection.call("entry", [self._secrets(name)], [number, 4 * MAX_LENGTH])
        return found[0].decode(errors="replace") if found else None

    def put_secret(self, name: str, number: str, text: str) -> None:
        self._secret(name, "put", number, text)

    def drop_secret(self, name: str, number: str | None) -> None:
        if number is not None:
            self._secret(name, "drop", number)

    def clear_secrets(self, name: str) -> None:
        self._secret(name, "clear")

    def store_state(self, camera: str, packed: str) -> None:
        if not self._connection.call("camera_state", [self.states], [camera, packed, 2 * MAX_CAMERAS]):
            raise self._foreign(self.states)

    def beat(self, lapse_ms: int, action: str, producer: str) -> None:
        """`producer` says that it is alive (`beat`) or that it goes (`leave`)."""
        if not self._connection.call("beat", [self._producers], [lapse_ms, MAX_PRODUCERS, action, producer]):
            raise self._foreign(self._producers)

    def alive(self, lapse_ms: int) -> list[str]:
        names = self._connection.call("alive", [self._producers], [lapse_ms, MAX_PRODUCERS])
        return sorted(name.decode(errors="replace") for name in names)

    def scan(
        self, key: str, limit: int, unpack: Callable[[str, bytes], _T | None]
    ) -> Iterator[tuple[str, _T]]:
        """Every field of a hash that is a camera's, of at most `limit` bytes, and can be unpacked."""
        self.skipped, cursor, seen = 0, b"0", set[bytes]()
        while len(seen) + self.skipped < _MAX_FIELDS:
            arguments = [cursor, _PAGE, max(MAX_NAME, len(_REVISION)), limit]
            cursor, left_out, flat = self._connection.call("roster", [key], arguments)
            self.skipped += left_out
            for raw, packed in zip(flat[::2], flat[1::2], strict=True):
                name = raw.decode(errors="replace")
                if raw in seen or name == _REVISION:  # a scan may say a field twice
                    continue
                seen.add(raw)
                unpacked = unpack(name, packed) if is_camera_name(name) else None
                if unpacked is None:
                    self.skipped += 1
                else:
                    yield name, unpacked
            if cursor == b"0":
                return

    def _secrets(self, name: str) -> str:
        return f"{self._prefix}:secrets:{name}"

    def _secret(self, name: str, action: str, number: str = "", text: str = "") -> None:
        if not self._connection.call("secret", [self._secrets(name)], [action, number, text]):
            raise self._foreign(self._secrets(name))

    def _foreign(self, key: str) -> BusRefused:
        return BusRefused(
            f"the broker at {self.address} holds something else under {key}: another program wrote it; "
            "choose another prefix, or delete it"
        )
