"""Certificates for tests, made on the spot by openssl: an authority and what it has signed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_CA_SETTINGS = """
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
default_days = 2
policy = any
unique_subject = no
[any]
commonName = supplied
"""
_LONG_AGO = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")


def require_openssl() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here: make system-deps")


@dataclass(frozen=True, slots=True)
class Certificate:
    path: Path
    key: Path


class Authority:
    """A certificate authority of a test's own, in a folder of its own."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        require_openssl()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._key = folder / "ca.crt", folder / "ca.key"
        (folder / "ca.cnf").write_text(_CA_SETTINGS)
        (folder / "index.txt").touch()
        self._openssl(
            "req", "-x509", *_new_key(self._key), "-subj", f"/CN={name}", "-days", "2", "-out", self.path
        )

    def sign(self, name: str, *, hosts: str = "", expired: bool = False) -> Certificate:
        """A certificate and its key; `hosts` as in `IP:127.0.0.1,DNS:localhost`, for a server's."""
        certificate = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={hosts}\n" if hosts else "keyUsage=digitalSignature\n")
        self._openssl("req", *_new_key(certificate.key), "-subj", f"/CN={name}", "-out", request)
        when = _LONG_AGO if expired else ()
        signing = ["-cert", self.path, "-keyfile", self._key, "-extfile", extensions, *when]
        self._openssl("ca", "-batch", "-config", "ca.cnf", *signing, "-in", request, "-out", certificate.path)
        return certificate

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], cwd=self._folder, check=True, capture_output=True)


def _new_key(path: Path) -> list[str | Path]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]
