"""A throw-away authority, and certificates for a server on this machine: its own, and one of a stranger."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def make(folder: Path, name: str = "localhost", *addresses: str) -> tuple[Path, Path, Path]:
    """Return the files of an authority, of a certificate that it signed for the name and addresses, and of its key."""
    now = datetime.now(UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a throw-away authority")])
    basic = x509.BasicConstraints(ca=True, path_length=None)

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))

    authority = begin(issuer, authority_key.public_key()).add_extension(basic, critical=True)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), *(x509.IPAddress(ip_address(one)) for one in addresses)]
    server = begin(subject, key.public_key())
    server = server.add_extension(x509.SubjectAlternativeName(names), critical=False)
    found = (folder / "authority.pem", folder / "server.pem", folder / "server.key")
    found[0].write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    found[1].write_bytes(server.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    found[2].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    found[2].chmod(0o600)
    return found
