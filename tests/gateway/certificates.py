"""Certificates made for one test: an authority, and what it signs."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Writes `<name>.pem` and, for what it signs, `<name>.key` into a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self.file = folder, folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._certificate = self._sign(
            self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0)
        )
        self.file.write_bytes(_pem(self._certificate))

    def issue(self, name: str, file: str = "") -> tuple[str, str]:
        """The files of a certificate for the DNS name or address `name`, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_named(name), key.public_key(), x509.SubjectAlternativeName([_general(name)]))
        paths = self.folder / f"{file or name}.pem", self.folder / f"{file or name}.key"
        paths[0].write_bytes(_pem(certificate))
        form = serialization.PrivateFormat.PKCS8
        paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        return str(paths[0]), str(paths[1])

    def client(self, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
        """How a client trusts this authority, and what it shows."""
        context = ssl.create_default_context(cafile=str(self.file))
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def server(self, certificate: tuple[str, str], asks_clients: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if asks_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
