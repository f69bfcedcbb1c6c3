"""The bus over TLS, on a real server that wants client certificates; where it cannot be, one clear line."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from facestream import ResultReader
from facestream.bus import tls
from facestream.bus.connection import Connection
from facestream.bus.overview import Observer
from facestream.bus.probe import probe
from facestream.bus.tail import tail_results
from facestream.errors import BusRefused, FacestreamError, SettingsError
from support import bus
from support.certificates import Authority, Certificate, require_openssl
from support.results import Awaited, Studio, seqs
from support.servers import Server, running

ROOT = Path(__file__).parent.parent
SECURITY = ROOT / "docs/security.md"
HERE = "IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True, slots=True)
class Link:
    """A server behind TLS, its authority, and a worker's certificate that it takes."""

    server: Server
    authority: Authority
    worker: Certificate

    def url(self, *, ca: Path | None = None, certificate: Certificate | None = None) -> str:
        """With the worker's certificate unless another is given."""
        ours = certificate or self.worker
        return f"{self.without_certificate(ca=ca)}&ssl_certfile={ours.path}&ssl_keyfile={ours.key}"

    def without_certificate(self, *, ca: Path | None = None) -> str:
        return f"rediss://127.0.0.1:{self.server.tls_port}/0?ssl_ca_certs={ca or self.authority.path}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "somebody else")


@pytest.fixture(scope="module", params=["TLSv1.2", "TLSv1.3"])
def link(authority: Authority, request: pytest.FixtureRequest) -> Iterator[Link]:
    """A handshake tells its troubles in another order in each version."""
    options = _tls_options(authority, authority.sign("server", hosts=HERE)) | {"tls-protocols": request.param}
    with running("redis", options, tls=True, tcp=True) as server:
        yield Link(server, authority, authority.sign("worker"))


def _tls_options(authority: Authority, certificate: Certificate) -> dict[str, str | Path]:
    return {
        "tls-cert-file": certificate.path,
        "tls-key-file": certificate.key,
        "tls-ca-cert-file": authority.path,
        "tls-auth-clients": "yes",
    }


def refusal(url: str, kind: type[FacestreamError] = BusRefused) -> str:
    """The one line with which it is refused; it shows no path, no key and no option's value."""
    with pytest.raises(FacestreamError) as refused:
        Connection(url)
    message = str(refused.value)
    assert type(refused.value) is kind, message
    assert "\n" not in message
    assert len(message) < 300
    assert ".key" not in message
    assert "PRIVATE" not in message
    for _, value in parse_qsl(url.partition("?")[2]):
        assert value not in message
    return message


# What works


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_frame_from_publication_to_its_result(link: Link, prefix: str, protocol: int) -> None:
    connection = Connection(link.url(), prefix=prefix, protocol=protocol)
    tail = tail_results(connection)
    bus.publish(bus.begin(connection, "cam"), 3)
    worker = bus.worker(connection)
    for _ in range(3):
        assert worker.commit([bus.result_of(delivery) for delivery in bus.take(worker)]) == 1
    assert [result["seq"] for result in tail.read(0.05)] == [0, 1, 2]
    assert bus.assert_closes(connection).results == 3
    assert connection.address == f"rediss://127.0.0.1:{link.server.tls_port}/0"
    connection.close()


@pytest.mark.parametrize("kind", [ResultReader, Awaited], ids=["sync", "async"])
def test_results_are_read_in_the_same_way(
    link: Link, stranger: Authority, prefix: str, kind: type[ResultReader]
) -> None:
    connection = Connection(link.url(), prefix=prefix)
    Studio(connection).shoot("lobby")
    connection.close()
    with kind(link.url(), prefix=prefix, start="earliest", group="g") as reader:
        assert seqs(reader.read(1, 5)) == [0]
    with (
        kind(link.url(ca=stranger.path)) as reader,
        pytest.raises(BusRefused, match="no authority known here"),
    ):
        reader.read(1, 5)
    with kind(link.without_certificate()) as reader, pytest.raises(BusRefused, match="client certificate"):
        reader.read(1, 5)


def test_the_host_may_be_named_as_its_certificate_has_it(link: Link) -> None:
    Connection(link.url().replace("127.0.0.1", "localhost")).close()


def test_observers_and_the_doctor_come_in_the_same_way(link: Link) -> None:
    Observer(link.url()).close()
    assert probe(link.url(), "fs").version


def test_without_checking_only_where_the_address_says_so(link: Link, stranger: Authority) -> None:
    url = link.url(ca=stranger.path)
    assert "authority" in refusal(url)
    Connection(url + "&ssl_cert_reqs=none&ssl_check_hostname=false").close()


# What does not


def test_an_authority_that_did_not_sign_it(link: Link, stranger: Authority) -> None:
    message = refusal(link.url(ca=stranger.path))
    assert "the certificate of the broker" in message
    assert "ssl_ca_certs" in message


def test_no_authority_at_all(link: Link) -> None:
    assert "name that with ?ssl_ca_certs=" in refusal(f"rediss://127.0.0.1:{link.server.tls_port}/0")


def test_no_client_certificate(link: Link) -> None:
    message = refusal(link.without_certificate())
    assert "wants a client certificate" in message
    assert "ssl_certfile and ssl_keyfile" in message


def test_a_client_certificate_that_has_expired(link: Link) -> None:
    expired = link.authority.sign("late", expired=True)
    assert "our client certificate has expired" in refusal(link.url(certificate=expired))


def test_a_client_certificate_of_a_stranger(link: Link, stranger: Authority) -> None:
    message = refusal(link.url(certificate=stranger.sign("worker")))
    assert "does not know who signed our client certificate" in message


@pytest.mark.parametrize(
    ("hosts", "expired", "said"),
    [(HERE, True, "has expired"), ("DNS:broker.example", False, "was made for another name")],
)
def test_a_certificate_of_the_server_that_is_of_no_use(
    authority: Authority, hosts: str, expired: bool, said: str
) -> None:
    certificate = authority.sign("server", hosts=hosts, expired=expired)
    with running("redis", _tls_options(authority, certificate), tls=True) as server:
        message = refusal(Link(server, authority, authority.sign("worker")).url())
    assert f"the certificate of the broker at rediss://127.0.0.1:{server.tls_port}/0 {said}" in message


@pytest.mark.parametrize("credentials", ["", "worker:ZQXsecret@"])
def test_plaintext_to_a_port_that_speaks_tls(link: Link, credentials: str) -> None:
    message = refusal(f"redis://{credentials}127.0.0.1:{link.server.tls_port}/0")
    assert "speaks TLS" in message
    assert "use rediss://" in message
    assert "ZQX" not in message


def test_tls_to_a_port_that_does_not_speak_it(link: Link) -> None:
    """A plain server waits for the end of a line that never comes: the driver gives up after seconds, then
    this is asked."""
    url = link.url().replace(f":{link.server.tls_port}/", f":{link.server.port}/")
    found = tls.ask_why(url, "rediss://broker")
    assert str(found).startswith("the broker at rediss://broker does not speak TLS there")
    assert "use redis://" in str(found)


def test_a_link_that_breaks_later_is_no_refusal(link: Link, prefix: str) -> None:
    """What tells a certificate's troubles from a broker that went away."""
    connection = Connection(link.url(), prefix=prefix)
    connection.read("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
    bus.publish(bus.begin(connection, "cam"))
    assert bus.assert_closes(connection).published == 1
    connection.close()


# The documents


def test_certificates_as_the_documents_make_them(tmp_path: Path) -> None:
    """The commands of docs/security.md, and the shipped tls.conf on what they made."""
    require_openssl()
    [commands] = re.findall(
        r"^```sh\n(.*?)^```", SECURITY.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    made = subprocess.run(
        ["sh", "-e", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    options = {"include": ROOT / "deploy/redis/tls.conf"}
    for option, name in (("cert-file", "server.crt"), ("key-file", "server.key"), ("ca-cert-file", "ca.crt")):
        options[f"tls-{option}"] = tmp_path / name
    ours = f"ssl_certfile={tmp_path}/worker.crt&ssl_keyfile={tmp_path}/worker.key"
    with running("redis", options, tls=True) as server:
        at = f"rediss://127.0.0.1:{server.tls_port}/0?ssl_ca_certs={tmp_path}/ca.crt"
        Connection(f"{at}&{ours}").close()
        assert "wants a client certificate" in refusal(at)


def test_the_lines_in_the_documents_are_those_that_are_said() -> None:
    table = SECURITY.read_text(encoding="utf-8").partition("## Lines you may see")[2]
    quoted = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    said = "\n".join(
        node.value
        for path in (ROOT / "facestream/bus").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    parts = [part.strip(" ():'") for line in quoted for part in re.split("<[^>]*>|…", line)]
    missing = [part for part in parts if part not in said and f"{part} (" not in said]
    assert len(quoted) > 10
    assert missing == []


# The files


def test_files_that_are_not_there_are_named_by_their_option(link: Link, tmp_path: Path) -> None:
    nowhere = Certificate(tmp_path / "no.crt", tmp_path / "no.key")
    message = refusal(link.url(ca=tmp_path / "no.crt"), SettingsError)
    assert message == "ssl_ca_certs in the broker's address cannot be read (No such file or directory)"
    assert "ssl_certfile or ssl_keyfile" in refusal(link.url(certificate=nowhere), SettingsError)


def test_files_that_are_no_certificates(link: Link, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nZQX\n")
    assert "no certificate in PEM" in refusal(link.url(ca=garbage), SettingsError)
    assert "two parts" in refusal(link.url(certificate=Certificate(garbage, garbage)), SettingsError)


def test_a_key_that_belongs_to_another_certificate(link: Link) -> None:
    mixed = Certificate(link.worker.path, link.authority.sign("other").key)
    assert "not the two parts of one certificate" in refusal(link.url(certificate=mixed), SettingsError)


def test_an_encrypted_key_asks_nobody_at_the_terminal(link: Link, tmp_path: Path) -> None:
    key = tmp_path / "encrypted.key"
    command = [
        "openssl",
        "ec",
        "-aes256",
        "-passout",
        "pass:ZQX",
        "-in",
        str(link.worker.key),
        "-out",
        str(key),
    ]
    subprocess.run(command, check=True, capture_output=True)
    url = link.url(certificate=Certificate(link.worker.path, key))
    assert "ssl_password" in refusal(url, SettingsError)
    Connection(url + "&ssl_password=ZQX").close()
    assert "ssl_password" in refusal(url + "&ssl_password=ZQXwrong", SettingsError)


def test_a_way_of_checking_that_does_not_exist(link: Link) -> None:
    assert "none, optional or required" in refusal(link.url() + "&ssl_cert_reqs=mayZQX", SettingsError)
