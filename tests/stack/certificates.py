"""Certificates for a broker that wants to be spoken to in secret, and for whoever speaks to it."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

KEY_PASSWORD = "key word"


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files. `server` holds key and certificate; the key of `client` has `KEY_PASSWORD`."""

    ca: Path
    server: Path
    client: Path
    client_key: Path

    @classmethod
    def make(cls, home: Path) -> Certificates:
        """New ones in `home`, good for 127.0.0.1 and a day."""
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _signed("trueup test", ca_key, None, ca_key)
        made = cls(home / "ca.pem", home / "server.pem", home / "client.pem", home / "client.key")
        made.ca.write_bytes(ca.public_bytes(Encoding.PEM))
        key = ec.generate_private_key(ec.SECP256R1())
        made.server.write_bytes(
            _key(key, NoEncryption()) + _signed("broker", key, ca, ca_key).public_bytes(Encoding.PEM)
        )
        key = ec.generate_private_key(ec.SECP256R1())
        made.client.write_bytes(_signed("trueup", key, ca, ca_key).public_bytes(Encoding.PEM))
        made.client_key.write_bytes(_key(key, BestAvailableEncryption(KEY_PASSWORD.encode())))
        return made


def _key(key: ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _signed(
    name: str, key: ec.EllipticCurvePrivateKey, by: x509.Certificate | None, by_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(by is not None, False, False, False, False, by is None, by is None, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(by_key, hashes.SHA256())
    )
