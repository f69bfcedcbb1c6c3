"""One camera as the registry keeps it: its address without credentials, its settings."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from facestream.camera_url import MAX_LENGTH
from facestream.cameras import KEYS, CameraSettings
from facestream.errors import UsageError
from facestream.names import is_camera_name

VERSION: Final = 1
MAX_BYTES: Final = 64 << 10
_SECRET = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Camera:
    """A registered camera. address: without credentials; `Registry.reveal` gives the whole of it."""

    name: str
    address: str
    settings: CameraSettings = field(default_factory=CameraSettings)
    has_credentials: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A camera and the number its credentials are kept under, None when it needs none."""

    camera: Camera
    secret: str | None = None

    def with_settings(self, settings: CameraSettings) -> Entry:
        return replace(self, camera=replace(self.camera, settings=settings))

    def pack(self) -> bytes:
        """No two are the same, so that a writer knows its own from another's like it."""
        fields = {
            "v": VERSION,
            "address": self.camera.address,
            "secret": self.secret,
            "settings": self.camera.settings.to_map(),
            "change": secrets.token_hex(8),
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, name: str, packed: bytes) -> Entry | None:
        """The entry that was packed, without the settings of a later release; None for anything else."""
        if len(packed) > MAX_BYTES or not is_camera_name(name):
            return None
        try:
            fields: Any = json.loads(packed)
            address, secret, settings = fields["address"], fields["secret"], fields["settings"]
            if fields["v"] != VERSION or not isinstance(address, str) or not isinstance(settings, dict):
                return None
            if len(address) > MAX_LENGTH or not address.isprintable():
                return None
            if secret is not None and not (isinstance(secret, str) and _SECRET.fullmatch(secret)):
                return None
            known = CameraSettings.from_map({key: settings[key] for key in KEYS if key in settings})
            return cls(Camera(name, address, known, secret is not None), secret)
        except (ValueError, TypeError, LookupError, RecursionError, UsageError):
            return None
