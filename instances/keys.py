"""Public keys as values: parsing, fingerprints, making new ones. No database."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from computecloud.wire.errors import InvalidInput

_WINDOWS_USER = ObjectIdentifier(
    "1.3.6.1.4.1.311.20.2.3"
)  # user principal name: what WinRM maps a certificate by
_X509_LIFETIME = timedelta(days=3_650)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A pair made here; private_key is shown to its owner once."""

    public_key: str
    private_key: str
    fingerprint: str


def fingerprint(key_type: str, public_key: str) -> str:
    """Return the fingerprint of a key that somebody brought; raises InvalidInput where it is no such key."""
    return ssh_fingerprint(public_key) if key_type == "ssh" else x509_fingerprint(public_key)


def ssh_fingerprint(public_key: str) -> str:
    """Return the MD5 of an OpenSSH public key in colon form; raises InvalidInput."""
    try:
        parts = public_key.strip().split()
        serialization.load_ssh_public_key(" ".join(parts[:2]).encode())
        blob = base64.b64decode(parts[1], validate=True)
    except (ValueError, UnsupportedAlgorithm, IndexError, binascii.Error, UnicodeError):
        raise InvalidInput("Keypair data is invalid: failed to generate fingerprint") from None
    if "\n" in public_key.strip() or "\r" in public_key.strip():
        raise InvalidInput("Keypair data is invalid: failed to generate fingerprint")
    return _colons(hashlib.md5(blob, usedforsecurity=False).digest())


def x509_fingerprint(certificate_pem: str) -> str:
    """Return the SHA-1 of a PEM certificate in colon form; raises InvalidInput."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        raise InvalidInput("Keypair data is invalid: failed to generate X509 fingerprint") from None
    return _colons(certificate.fingerprint(hashes.SHA1()))  # noqa: S303  the form that clients expect


def generate_ssh() -> NewKey:
    """Make an ed25519 pair in OpenSSH's forms."""
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    text = f"{public.decode()} Generated-by-ComputeCloud"
    return NewKey(public_key=text, private_key=secret.decode(), fingerprint=ssh_fingerprint(text))


def generate_x509(user_id: str, now: datetime | None = None) -> NewKey:
    """Make an RSA key with a self-signed client certificate for password-less WinRM log-in of this user."""
    now = now or datetime.now(UTC)
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    principal = f"{user_id}@localhost".encode()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _X509_LIFETIME)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                # DER of a UTF8String: tag 12, length, text
                [x509.OtherName(_WINDOWS_USER, bytes([12, len(principal)]) + principal)]
            ),
            critical=False,
        )
        .sign(private, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return NewKey(public_key=pem, private_key=secret.decode(), fingerprint=x509_fingerprint(pem))


def _colons(digest: bytes) -> str:
    return digest.hex(":")
