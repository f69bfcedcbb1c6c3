"""Cameras written down in a file, YAML or TOML: all that a registry shall hold."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from facestream.address_policy import AddressPolicy
from facestream.camera_url import CameraUrl
from facestream.cameras import KEYS, CameraSettings, unknown_key
from facestream.errors import UsageError
from facestream.names import check_camera_name

MAX_BYTES: Final = 4 << 20
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KNOWN: Final = {"url": None, **KEYS}


@dataclass(frozen=True, slots=True)
class WantedCamera:
    url: CameraUrl
    settings: CameraSettings


def read_camera_file(
    path: Path, policy: AddressPolicy, environment: Mapping[str, str] | None = None
) -> dict[str, WantedCamera]:
    """The cameras of a file by name: `cameras:` and below it of each `url` and its settings.

    `${NAME}` in a url stands for a variable of the environment: all of the url, or a part such as the
    password, which is percent-encoded on its way. Raises UsageError in one line without credentials.
    """
    variables = os.environ if environment is None else environment
    content = _parsed(path)
    if not isinstance(content, dict) or not isinstance(content.get("cameras", 0), dict | None):
        raise UsageError(f"{path} holds no cameras: it begins with `cameras:`, and has their names below it")
    for key in content:
        if key != "cameras":
            raise UsageError(f"{path}: {unknown_key(key, {'cameras': None}, 'part of a file of cameras')}")
    return {
        _name(path, name): _camera(f"{path}, camera {name}", fields, policy, variables)
        for name, fields in (content["cameras"] or {}).items()
    }


def _name(path: Path, name: object) -> str:
    if not isinstance(name, str):
        raise UsageError(f"{path}: the camera name {name!r} is no text to YAML: put it in quotes")
    try:
        return check_camera_name(name)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _camera(where: str, fields: object, policy: AddressPolicy, variables: Mapping[str, str]) -> WantedCamera:
    if not isinstance(fields, dict) or not isinstance(fields.get("url"), str):
        raise UsageError(
            f"{where}: it needs a url, such as url: rtsp://admin:${{LOBBY_PASSWORD}}@10.0.0.7/live"
        )
    try:
        for key in fields:
            if key not in _KNOWN:
                raise unknown_key(key, _KNOWN, "setting of a camera")
        url = CameraUrl.parse(_filled(fields["url"], variables), policy)
        settings = CameraSettings.from_map({key: value for key, value in fields.items() if key != "url"})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return WantedCamera(url, settings)


def _filled(template: str, variables: Mapping[str, str]) -> str:
    def value(reference: re.Match[str]) -> str:
        found = variables.get(reference[1])
        if not found:
            raise UsageError(f"the variable {reference[1]}, which its url names, is not set")
        return found if reference[0] == template.strip() else quote(found, safe=":")

    return _REFERENCE.sub(value, template)


def _parsed(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UsageError(
                f"{path} is larger than {MAX_BYTES >> 20} MiB: it holds something else than cameras"
            )
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or 'it is no file').lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8") from None
    try:
        return tomllib.loads(text) if path.suffix.lower() == ".toml" else _yaml(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {_unquoted(str(error))}") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply for a file of cameras") from None
    except _NotYaml as error:
        raise UsageError(f"{path} is no YAML: {_unquoted(str(error))}") from None


class _NotYaml(Exception):
    pass


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """A camera that is there twice is a mistake, which YAML would pass over."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key.value, str) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.value in seen:
                    problem = "a key is there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        # Not its own words: they repeat the line, and the password in it.
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise _NotYaml(f"{error.problem}{line}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _NotYaml(type(error).__name__) from None


def _unquoted(text: str) -> str:
    """A parser's complaint without what it quotes from the file, which may be a password."""
    named = re.sub(r"'<([a-z ]+)>'", r"\1", " ".join(text.split()))
    return re.sub(r"(['\"]).{2,}\1", "…", named)
