"""Every setting, read once: from FACESTREAM_… variables, overridden by the command line."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FilePath, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from facestream.errors import SettingsError

PREFIX = "FACESTREAM_"
MIB = 1 << 20


class Settings(BaseSettings):
    """All settings with their defaults; docs/operations.md says what each is for."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    redis: SecretStr | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] = "fs"
    partitions: Annotated[int, Field(ge=1, le=4096)] | None = None
    state_redis: SecretStr | None = None
    source_folders: str | None = None
    allow_loopback_cameras: bool = False
    camera_ca: FilePath | None = None

    depth: Annotated[int, Field(ge=1, le=1024)] | None = None
    max_age_ms: Annotated[int, Field(ge=1)] = 1000
    max_side: Annotated[int, Field(ge=64, le=8192)] = 1280
    jpeg_quality: Annotated[int, Field(ge=20, le=100)] = 85

    batch: Annotated[int, Field(ge=1, le=64)] = 8
    grace_seconds: Annotated[float, Field(ge=0)] = 10.0
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    min_face_px: Annotated[int, Field(ge=1)] = 24
    results_keep_seconds: Annotated[float, Field(gt=0)] = 3600.0
    results_bytes: Annotated[int, Field(ge=MIB)] = 64 * MIB
    broker_bytes: Annotated[int, Field(ge=16 * MIB)] = 512 * MIB

    metrics_host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    sink_secret: SecretStr | None = None
    weights: Path | None = None
    catalogue: Path | None = None
    log: Literal["console", "json"] = "console"
    debug: bool = False

    @property
    def redis_url(self) -> str | None:
        return self.redis.get_secret_value() if self.redis else None

    @property
    def state_redis_url(self) -> str | None:
        """Where the registry of cameras is kept: the broker itself unless another is named."""
        return self.state_redis.get_secret_value() if self.state_redis else self.redis_url

    @property
    def source_folder_paths(self) -> tuple[Path, ...]:
        """The folders below which a registered camera may be a file; separated like those of PATH."""
        return tuple(Path(folder) for folder in (self.source_folders or "").split(os.pathsep) if folder)

    def as_environment(self, redis_url: str) -> dict[str, str]:
        """The variables that give a child process these settings.

        The address goes this way and not as an argument: process lists show arguments.
        """
        secrets = {"redis", "state_redis", "sink_secret"}
        passed = {
            PREFIX + name.upper(): str(value)
            for name, value in self.model_dump(exclude={"debug", *secrets}).items()
            if value is not None
        }
        if self.state_redis is not None:
            passed[PREFIX + "STATE_REDIS"] = self.state_redis.get_secret_value()
        return passed | {PREFIX + "REDIS": redis_url}


def load_settings(**overrides: Any) -> Settings:
    """The settings; `overrides` that are None leave the variable or the default standing.

    Raises SettingsError in one line on a value out of bounds or a variable that does not exist.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        given = overrides.get(name) is not None
        where = f"--{name.replace('_', '-')}" if given else f"{PREFIX}{name.upper()}"
        raise SettingsError(f"{where}: {first['msg'].lower()}") from None


def _refuse_unknown_variables() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable not in known:
            nearest = difflib.get_close_matches(variable, known, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(sorted(known))}"
            raise SettingsError(f"{variable} is no setting: {hint}")
