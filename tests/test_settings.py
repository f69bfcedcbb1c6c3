"""Settings: from variables, overridden by options; what is wrong is one line that names it."""

from __future__ import annotations

import os

import pytest

from facestream.errors import SettingsError, UsageError
from facestream.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_every_setting_has_a_default() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert settings.redis_url is None


def test_a_variable_counts_and_an_option_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_MAX_SIDE", "640")
    monkeypatch.setenv("FACESTREAM_BATCH", "7")
    assert (load_settings().max_side, load_settings().batch) == (640, 7)
    assert load_settings(max_side=800, batch=None).max_side == 800
    assert load_settings(max_side=800, batch=None).batch == 7


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As compose files write what is not set."""
    monkeypatch.setenv("FACESTREAM_REDIS", "")
    monkeypatch.setenv("FACESTREAM_DEPTH", "")
    monkeypatch.setenv("FACESTREAM_BATCH", "")
    settings = load_settings()
    assert (settings.redis_url, settings.depth, settings.batch) == (None, None, Settings().batch)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("FACESTREAM_REDDIS", "did you mean FACESTREAM_REDIS?"),
        ("FACESTREAM_MAX_SIZE", "did you mean FACESTREAM_MAX_SIDE?"),
        ("FACESTREAM_JPEG_QUALTY", "did you mean FACESTREAM_JPEG_QUALITY?"),
    ],
)
def test_an_unknown_variable_is_refused_and_the_nearest_named(
    variable: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == f"{variable} is no setting: {nearest}"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FACESTREAM_BATCH", "0", "greater than or equal to 1"),
        ("FACESTREAM_BATCH", "many", "valid integer"),
        ("FACESTREAM_BROKER_BYTES", "1000", "greater than or equal to 16777216"),
        ("FACESTREAM_PREFIX", "a b", "should match pattern"),
        ("FACESTREAM_JPEG_QUALITY", "101", "less than or equal to 100"),
        ("FACESTREAM_MAX_AGE_MS", "nan", "valid integer"),
        ("FACESTREAM_DEPTH", "1e9", "valid integer"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    assert text.startswith(f"{name}: ")
    assert says in text
    assert "\n" not in text


def test_a_bad_option_is_named_as_the_option() -> None:
    with pytest.raises(UsageError, match=r"^--max-side: input should be greater than or equal to 64$"):
        load_settings(max_side=3)


def test_a_child_gets_the_same_settings_and_the_address_of_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = load_settings(max_side=640, batch=2, depth=9, prefix="other")
    environment = ours.as_environment("redis://:hunter2@host/1")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    theirs = load_settings()
    assert theirs.redis_url == "redis://:hunter2@host/1"
    assert theirs.model_dump(exclude={"redis"}) == ours.model_dump(exclude={"redis"})


def test_a_password_is_not_in_what_settings_say_of_themselves() -> None:
    settings = load_settings(redis="redis://:hunter2@host/1")
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()}"
