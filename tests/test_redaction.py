"""No credential of an address is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.redaction import redact

bounded = settings(max_examples=100, deadline=None)

# A secret is looked for by these three letters, which no other part of the addresses holds.
MARK = "ZQX"
odd = st.text(alphabet="@/#:%?&;=, é画\u2003\U0001f511ab01._-+", max_size=12)
secret = st.builds(lambda before, after: before + MARK + after, odd, odd)
host = st.sampled_from(["10.0.0.7", "cam.example", "[::1]", "h"])
tail = st.sampled_from(["", ":554", "/live", ":554/a/b.sdp", "/?x=1", "/0"])


@bounded
@given(
    st.sampled_from(["rtsp", "redis", "rediss", "http", "unix", "my+odd-scheme.2"]), odd, secret, host, tail
)
def test_a_password_before_the_host_is_never_shown(
    scheme: str, user: str, password: str, where: str, rest: str
) -> None:
    shown = redact(f"{scheme}://{user}:{password}@{where}{rest}")
    assert MARK not in shown
    assert where in shown
    assert shown.startswith(f"{scheme}://***@")


@bounded
@given(secret, host, tail)
def test_a_user_name_is_never_shown(user: str, where: str, rest: str) -> None:
    assert MARK not in redact(f"rtsp://{user}@{where}{rest}")
    assert MARK not in redact(f"rtsp://{user}:@{where}{rest}")


@bounded
@given(
    st.sampled_from(
        ["password", "pass", "pwd", "Passwd", "token", "access_token", "secret", "api_key", "key", "auth"]
        + ["user", "usr", "username", "loginuse", "loginpas", "pw", "psw", "sig", "signature", "credential"]
    ),
    st.text(alphabet="@/#:%?=,;é画\U0001f511ab01._-+", max_size=12),
)
def test_a_secret_of_the_query_is_never_shown(name: str, before: str) -> None:
    """All but '&', which ends a value for the camera too."""
    for start in ("?", "?channel=2&", "/"):
        shown = redact(f"http://10.0.0.7/video{start}{name}={before}{MARK}&stream=1")
        assert MARK not in shown
        assert shown.endswith("***&stream=1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.7:554/live", "rtsp://***@10.0.0.7:554/live"),
        ("redis://:p@ss/w#rd@broker:6379/0", "redis://***@broker:6379/0"),
        ("unix://u:p@/run/b.sock?db=1", "unix://***@/run/b.sock?db=1"),
        ("rtsp://admin:my secret@cam/1", "rtsp://***@cam/1"),
        ("admin:secret@10.0.0.7:554", "***@10.0.0.7:554"),
        (":secret@localhost", "***@localhost"),
        ("rtsp://h/user=admin_password=tlJw_x_channel=1.sdp", "rtsp://h/user=***"),
        ("rtsp://h/user=admin&password=x&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        ("http://h/v.cgi?loginuse=a&loginpas=b&n=1", "http://h/v.cgi?loginuse=***&loginpas=***&n=1"),
        (
            "cannot open 'rtsp://u:p@a/1' nor rtsp://v:q@b/2",
            "cannot open 'rtsp://***@a/1' nor rtsp://***@b/2",
        ),
        ("first rtsp://u:p@a\nthen rtsp://v:q@b", "first rtsp://***@a\nthen rtsp://***@b"),
    ],
)
def test_what_is_left_says_where(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "clip.mp4",
        "/videos/one two.mp4",
        "redis://broker:6379/0",
        "rtsp://10.0.0.7:554/live?channel=2&stream=1",
        "yunet-2023mar@8f2383e4",
        "somebody@example.org",
        "12:30 o'clock",
        "",
    ],
)
def test_what_holds_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


@bounded
@given(st.text(max_size=80))
def test_striking_twice_strikes_no_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "unit", ["a", "a://", "?pass", "_key", ":", "@", "x:", " a://", "://@", "?pas=@", "="]
)
def test_long_texts_are_no_trouble(unit: str) -> None:
    """What comes from a stranger may be long; a pattern that backtracks would not end within the minute."""
    assert len(redact(unit * 50_000)) > 0
