"""Webhooks: signed so that a receiver can tell, and honest about what it answers."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.camera_url import Secret
from facestream.errors import SinkRefused, SinkUnavailable, UsageError
from facestream.settings import load_settings
from facestream_sinks.address import Address, refuse_in_the_clear
from facestream_sinks.secret import read_secret
from facestream_sinks.signing import Signer
from facestream_sinks.sink import Limits
from facestream_sinks.webhook import WebhookSink
from support.certificates import Authority
from support.receiver import Call, Receiver
from support.records import records

ROOT = Path(__file__).parent.parent
KEY = "0123456789abcdef0123456789abcdef"
SCHEMES = {"https": 443, "http": 80}


def sink_to(
    url: str, secret: str = KEY, timeout_seconds: float = 5.0, ca_file: Path | None = None
) -> WebhookSink:
    return WebhookSink(
        Address(url, SCHEMES),
        Signer(Secret(secret)),
        limits=Limits(100, 1 << 20),
        timeout_seconds=timeout_seconds,
        ca_file=ca_file,
    )


def recipe() -> dict[str, object]:
    """What docs/sinks.md tells a receiver to do, as code."""
    [code] = [
        block
        for block in re.findall(
            r"^```python\n(.*?)^```", (ROOT / "docs/sinks.md").read_text(), re.MULTILINE | re.DOTALL
        )
        if "def verified" in block
    ]
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    return names


def verified(call: Call, secret: str, now: float | None = None) -> bool:
    verify = recipe()["verified"]
    assert callable(verify)
    return bool(verify(call.headers, call.body, secret, time.time() if now is None else now))


@pytest.fixture
def delivered() -> Call:
    with Receiver() as receiver, closing(sink_to(receiver.url)) as sink:
        sink.deliver(records(1, 2))
    [call] = receiver.taken
    return call


def test_records_come_whole_with_their_signature(delivered: Call) -> None:
    assert delivered.path == "/hook?token=sesame"
    assert delivered.headers["content-type"] == "application/json"
    assert [(record["type"], record["seq"]) for record in delivered.records] == [("result", 1), ("result", 2)]
    assert verified(delivered, KEY)


def test_the_recipe_refuses_what_is_forged_or_old(delivered: Call) -> None:
    now = time.time()
    assert not verified(delivered, KEY[::-1])
    assert not verified(delivered, KEY, now + 301)
    assert not verified(delivered, KEY, now - 301)
    for forged in (
        Call(delivered.path, delivered.headers, delivered.body + b" "),
        Call(delivered.path, delivered.headers | {"webhook-id": "other"}, delivered.body),
        Call(delivered.path, delivered.headers | {"webhook-timestamp": str(int(now) - 1)}, delivered.body),
        Call(delivered.path, delivered.headers | {"webhook-signature": "v1,AAAA"}, delivered.body),
        Call(delivered.path, {}, delivered.body),
    ):
        assert not verified(forged, KEY)


def test_a_secret_is_changed_while_both_ends_run() -> None:
    old, new = KEY, KEY[::-1]
    with Receiver() as receiver, closing(sink_to(receiver.url, f"{new}\n{old}\n")) as sink:
        sink.deliver(records(1))
    [call] = receiver.taken
    assert verified(call, old)
    assert verified(call, new)


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of its specification's own libraries."""
    headers = Signer(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_same_batch_has_the_same_id_and_a_fresh_time() -> None:
    statuses = iter([503, 204, 204])
    with Receiver(lambda _: next(statuses)) as receiver, closing(sink_to(receiver.url)) as sink:
        with pytest.raises(SinkUnavailable):
            sink.deliver(records(1, 2))
        sink.deliver(records(1, 2))
        sink.deliver(records(3))
    first, again, other = (call.headers["webhook-id"] for call in receiver.calls)
    assert first == again != other
    assert all(verified(call, KEY) for call in receiver.calls)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_said_of_the_batch_refuses_it(status: int) -> None:
    with Receiver(lambda _: status) as receiver, closing(sink_to(receiver.url)) as sink:
        with pytest.raises(SinkRefused, match=rf"answers {status} to 2 records"):
            sink.deliver(records(1, 2))
        with pytest.raises(SinkRefused, match=rf"answers {status} to cam/1/1"):
            sink.deliver(records(1))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "a redirect, which is not followed"),
        (308, "a redirect, which is not followed"),
        (401, "is the secret the receiver's"),
        (404, "is the address right"),
        (409, "answers 409$"),
        (429, "answers 429$"),
        (500, "answers 500$"),
        (503, "answers 503$"),
    ],
)
def test_everything_else_is_tried_again(status: int, words: str) -> None:
    with Receiver() as elsewhere, Receiver(lambda _: status) as receiver:
        receiver.headers = {"location": elsewhere.url, "retry-after": "7"}
        with closing(sink_to(receiver.url)) as sink, pytest.raises(SinkUnavailable, match=words) as caught:
            sink.deliver(records(1))
        assert caught.value.retry_after_seconds == 7.0
        assert elsewhere.calls == []
        assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(("given", "seconds"), [("soon", None), ("0", None), ("99999999999", 300.0)])
def test_how_long_to_wait_is_bounded(given: str, seconds: float | None) -> None:
    with Receiver(lambda _: 503) as receiver, closing(sink_to(receiver.url)) as sink:
        receiver.headers = {"retry-after": given}
        with pytest.raises(SinkUnavailable) as caught:
            sink.deliver(records(1))
    assert caught.value.retry_after_seconds == seconds


def answering(door: socket.socket, reply: bytes, hold: threading.Event) -> None:
    line, _ = door.accept()
    with line:
        line.recv(1 << 16)
        line.sendall(reply)
        hold.wait(30)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"])
def test_who_does_not_answer_in_time_is_not_waited_for(reply: bytes) -> None:
    hold = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=answering, args=(door, reply, hold))
        thread.start()
        url = f"http://127.0.0.1:{door.getsockname()[1]}/sesame"
        with (
            closing(sink_to(url, timeout_seconds=0.2)) as sink,
            pytest.raises(SinkUnavailable, match="does not answer") as caught,
        ):
            sink.deliver(records(1))
        hold.set()
        thread.join()
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000, b"rubbish\r\n\r\n"])
def test_hostile_answers_are_bounded(reply: bytes) -> None:
    hold = threading.Event()
    hold.set()
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=answering, args=(door, reply, hold))
        thread.start()
        with closing(sink_to(f"http://127.0.0.1:{door.getsockname()[1]}/")) as sink:
            if reply.startswith(b"HTTP"):
                sink.deliver(records(1))
            else:
                with pytest.raises(SinkUnavailable, match="does not answer"):
                    sink.deliver(records(1))
        thread.join()


def test_nobody_there_is_said_without_the_address() -> None:
    receiver = Receiver()
    with closing(sink_to(receiver.url)) as sink, pytest.raises(SinkUnavailable) as caught:
        sink.deliver(records(1))
    assert str(caught.value) == f"http://127.0.0.1:{receiver.port} does not answer (Connection refused)"


def test_only_a_receiver_with_the_right_certificate_is_told(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    with Receiver(certificate=ours.sign("here", hosts="IP:127.0.0.1")) as receiver:
        with closing(sink_to(receiver.url, ca_file=ours.path)) as sink:
            sink.deliver(records(1))
        for trusted in (others.path, None):
            with closing(sink_to(receiver.url, ca_file=trusted)) as sink:
                with pytest.raises(SinkUnavailable, match="does not answer") as caught:
                    sink.deliver(records(2))
                assert "certificate" in str(caught.value).lower()
    with Receiver(certificate=ours.sign("elsewhere", hosts="DNS:example.org")) as receiver:
        with closing(sink_to(receiver.url, ca_file=ours.path)) as sink, pytest.raises(SinkUnavailable):
            sink.deliver(records(3))
        assert receiver.calls == []
    with pytest.raises(UsageError, match="is no file"):
        sink_to("https://example.org/", ca_file=tmp_path / "nowhere")


# Addresses and secrets


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "ftp://example.org/", "https://", "https://a b/", "https://h:port/", "https://h\n/"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="this is no address: use https://host/…"):
        Address(text, SCHEMES)


def test_a_password_does_not_stand_in_the_address() -> None:
    with pytest.raises(UsageError) as caught:
        Address("https://me:hush@example.org/", SCHEMES)
    assert "hush" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_breaks_an_address_apart(text: str) -> None:
    with suppress(UsageError):
        address = Address(f"https://example.org/{text}", SCHEMES)
        assert str(address) == repr(address)[9:-2] == "https://example.org:443"


def test_results_do_not_cross_a_network_in_the_clear_unless_somebody_says_so() -> None:
    for text in ("http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]/x", "https://example.org/x"):
        refuse_in_the_clear(Address(text, SCHEMES), "http", "https", allowed=False)
    away = Address("http://example.org/sesame", SCHEMES)
    refuse_in_the_clear(away, "http", "https", allowed=True)
    with pytest.raises(UsageError, match="in the clear: use https://, or say --allow-cleartext") as caught:
        refuse_in_the_clear(away, "http", "https", allowed=False)
    assert "sesame" not in str(caught.value)


def test_secrets_come_from_files_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    file = tmp_path / "secret"
    file.write_text(f" {KEY}\n")
    file.chmod(0o600)
    found = read_secret(file, load_settings(), said.append)
    assert found is not None
    assert (found.reveal(), str(found), said) == (KEY, "***", [])
    file.chmod(0o644)
    read_secret(file, load_settings(), said.append)
    assert said == [f"others may read the secret in {file}: chmod 600 {file}"]
    assert read_secret(None, load_settings(), said.append) is None
    monkeypatch.setenv("FACESTREAM_SINK_SECRET", KEY)
    settings = load_settings()
    assert read_secret(None, settings, said.append) == Secret(KEY)
    assert KEY not in repr(settings)
    assert "FACESTREAM_SINK_SECRET" not in settings.as_environment("redis://h")


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe", b"x" * 5000])
def test_what_is_no_secret(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="holds no secret"):
        read_secret(file, load_settings(), print)
    with pytest.raises(UsageError, match="cannot read the secret"):
        read_secret(tmp_path / "nowhere", load_settings(), print)


@pytest.mark.parametrize("secret", ["short", "whsec_***", "whsec_" + base64.b64encode(b"short").decode()])
def test_what_is_no_key(secret: str) -> None:
    with pytest.raises(UsageError, match="the secret") as caught:
        Signer(Secret(secret))
    assert secret not in str(caught.value)
