"""The registry of cameras: what producers shall attach, and how that goes; kept by the state broker.

Three keys: `<prefix>:cameras` is a hash of all cameras and of the revision, `<prefix>:secrets:<camera>` the
credentials of one, readable by whom the broker's access rules let, `<prefix>:camera-states` what producers
say. Every script touches one key, so that all of it works in a cluster. A camera's entry names its
credentials by a number that is never used twice: they are written before the entry that names them, and the
old ones removed after, so that a reader finds the old address whole or the new one. On removal the
credentials go first: what breaks off leaves a camera that cannot log in, never a password nobody knows of.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final, Self

from facestream.address_policy import AddressPolicy
from facestream.bus.camera_entry import MAX_BYTES, Camera, Entry
from facestream.bus.camera_store import CameraStore
from facestream.camera_state import MAX_BYTES as MAX_STATE_BYTES
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.errors import BusUnavailable, UsageError
from facestream.names import check_camera_name
from facestream.redaction import redact

LAPSE_SECONDS: Final = 5.0
_LAPSE_MS: Final = round(LAPSE_SECONDS * 1000)
# Writers that meet take turns; as many in a row mean that something else is wrong.
_ATTEMPTS: Final = 50
_PRODUCER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")

Names = list[str]
Cameras = list[Camera]


class Registry:
    """The cameras of one deployment, and the states their producers report.

    policy: what an address that is revealed may reach, by default no file and nothing on this machine.
    Raises BusUnavailable when nothing answers, BusRefused when what answers cannot be used or another
    program keeps something of its own under our keys.
    """

    def __init__(self, url: str, *, prefix: str = "fs", policy: AddressPolicy | None = None) -> None:
        self._store = CameraStore(url, prefix)
        self.policy = policy or AddressPolicy()
        self.address = self._store.address

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def skipped(self) -> int:
        """How many entries the last `list` or `states` passed over because facestream did not write them."""
        return self._store.skipped

    # Cameras

    def revision(self) -> int:
        """Another, greater number after every change of any camera; 0 before the first."""
        return self._store.revision()

    def list(self) -> Cameras:
        """All cameras by name."""
        entries = self._store.scan(self._store.cameras, MAX_BYTES, Entry.unpack)
        return [entry.camera for _, entry in sorted(entries, key=lambda pair: pair[0])]

    def get(self, name: str) -> Camera:
        """Raises UsageError when no camera has this name."""
        return self._entry(name)[0].camera

    def add(self, name: str, url: CameraUrl, settings: CameraSettings | None = None) -> Camera:
        """Raises UsageError when the name is taken or is none."""
        check_camera_name(name)
        taken = UsageError(f"camera {name} is there already: use `facestream cameras set`, or another name")
        if self._store.read(name) is not None:
            raise taken
        entry = self._placed(name, url, settings or CameraSettings())
        if not self._store.write(name, "", entry.pack()):
            self._store.drop_secret(name, entry.secret)
            raise taken
        return entry.camera

    def change(
        self,
        name: str,
        *,
        url: CameraUrl | None = None,
        settings: CameraSettings | Mapping[str, object] | None = None,
    ) -> Camera:
        """Another address, other settings, or both; a mapping changes only the settings it names.

        Raises UsageError when there is no such camera, or for a setting `CameraSettings` refuses.
        """
        for _ in range(_ATTEMPTS):
            before, seen = self._entry(name)
            wanted = _merged(before.camera.settings, settings)
            if url is None and wanted == before.camera.settings:
                return before.camera
            entry = before.with_settings(wanted) if url is None else self._placed(name, url, wanted)
            written = self._store.write(name, seen, entry.pack())
            if url is not None:
                self._store.drop_secret(name, before.secret if written else entry.secret)
            if written:
                return entry.camera
        raise _crowd(name)

    def pause(self, name: str) -> Camera:
        return self.change(name, settings={"paused": True})

    def resume(self, name: str) -> Camera:
        return self.change(name, settings={"paused": False})

    def remove(self, name: str) -> bool:
        """Remove a camera, its credentials and its state; whether it was there."""
        check_camera_name(name)
        for _ in range(_ATTEMPTS):
            found = self._store.read(name)
            self._store.clear_secrets(name)
            if found is None or self._store.write(name, found[1], b""):
                self._store.store_state(name, "")
                return found is not None
        raise _crowd(name)

    def reveal(self, name: str) -> CameraUrl:
        """The real address of a camera, checked against the policy of whoever asks.

        Raises UsageError when there is no such camera, its credentials are gone, or it may not be reached.
        """
        for _ in range(_ATTEMPTS):
            entry, seen = self._entry(name)
            if entry.secret is None:
                return CameraUrl.parse(entry.camera.address, self.policy)
            real = self._store.read_secret(name, entry.secret)
            if real is not None:
                return CameraUrl.parse(real, self.policy)
            if self._entry(name)[1] == seen:  # else it was changed between the two readings
                break
        raise UsageError(
            f"the credentials of camera {name} are gone from the broker: give its address again with "
            f"`facestream cameras set {name} --url-file -`"
        )

    # States and producers

    def report_state(self, camera: str, state: CameraState) -> None:
        """Say how a camera is doing; passes while the broker is full."""
        self._store.store_state(check_camera_name(camera), state.pack())

    def forget_state(self, camera: str) -> None:
        self._store.store_state(check_camera_name(camera), "")

    def states(self) -> dict[str, CameraState]:
        """What producers last said of each camera; whoever said it may be gone, see `alive`."""
        packed = self._store.scan(
            self._store.states, MAX_STATE_BYTES, lambda _, text: CameraState.unpack(text)
        )
        return dict(packed)

    def beat(self, producer: str) -> Names:
        """Say that this producer is alive; who is, itself among them. Passes while the broker is full.

        Raises UsageError for a name that is none.
        """
        if not _PRODUCER.fullmatch(producer):
            raise UsageError(
                f"{redact(producer)[:40]!r} is no producer's name: letters, digits and . _ : @ -"
            )
        self._store.beat(_LAPSE_MS, "beat", producer)
        return self.alive()

    def leave(self, producer: str) -> None:
        self._store.beat(_LAPSE_MS, "leave", producer)

    def alive(self) -> Names:
        """The producers heard of within LAPSE_SECONDS of the broker's clock, by name."""
        return [name for name in self._store.alive(_LAPSE_MS) if _PRODUCER.fullmatch(name)]

    def _entry(self, name: str) -> tuple[Entry, str]:
        """A camera's entry, and the sha1 it is known again by."""
        found = self._store.read(check_camera_name(name))
        if found is None:
            raise UsageError(f"no camera is called {name}: `facestream cameras list` shows those there are")
        entry = Entry.unpack(name, found[0])
        if entry is None:
            raise UsageError(
                f"what the registry holds as {name} is no camera of this release: "
                f"`facestream cameras remove {name}` and add it again"
            )
        return entry, found[1]

    def _placed(self, name: str, url: CameraUrl, settings: CameraSettings) -> Entry:
        """An entry for the address, with its credentials stored already under a number of their own."""
        number = None
        if url.credentials is not None:
            number = secrets.token_hex(8)
            self._store.put_secret(name, number, url.credentials.reveal())
        return Entry(Camera(name, url.without_credentials, settings, number is not None), number)


def _merged(before: CameraSettings, wanted: CameraSettings | Mapping[str, object] | None) -> CameraSettings:
    return wanted if isinstance(wanted, CameraSettings) else before.changed(wanted or {})


def _state(_camera: str, packed: bytes) -> CameraState | None:
    return CameraState.unpack(packed)


def _crowd(name: str) -> BusUnavailable:
    return BusUnavailable(f"camera {name} is being changed by others all the time: try again")
