"""Public keys: what is taken, what is refused, and the fingerprints, compared with ssh-keygen's and OpenSSL's own."""

import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from computecloud.wire.errors import InvalidInput
from instances import keys


@pytest.mark.parametrize(("kind", "bits"), [("rsa", "2048"), ("ed25519", "256"), ("ecdsa", "256")])
def test_a_fingerprint_is_what_ssh_keygen_says(tmp_path, kind, bits):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", tmp_path / "k"], check=True)
    said = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", tmp_path / "k.pub"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[1]
    assert "MD5:" + keys.ssh_fingerprint((tmp_path / "k.pub").read_text()) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-rsa",
        "ssh-rsa AAAA",
        "not a key",
        "ssh-ed25519 !!!!",
        "ssh-rsa " + "A" * 4_000,
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----",
        "\x00",
        "ключ ключ",
    ],
)
def test_what_is_no_ssh_key_is_refused(text):
    with pytest.raises(InvalidInput, match="Keypair data is invalid"):
        keys.ssh_fingerprint(text)


def test_a_second_line_behind_a_key_is_refused():
    made = keys.generate_ssh()
    with pytest.raises(InvalidInput):
        keys.ssh_fingerprint(made.public_key + "\nssh-ed25519 AAAA evil")


def test_a_generated_ssh_pair_belongs_together():
    made = keys.generate_ssh()
    private = load_ssh_private_key(made.private_key.encode(), None)
    assert keys.ssh_fingerprint(made.public_key) == made.fingerprint
    assert private.public_key().public_bytes_raw().hex() in _blob(made.public_key).hex()


def test_a_generated_certificate_belongs_to_its_key_and_to_openssl(tmp_path):
    made = keys.generate_x509("f" * 32)
    load_pem_private_key(made.private_key.encode(), None)
    (tmp_path / "c.pem").write_text(made.public_key)
    said = subprocess.run(
        [
            "openssl",
            "x509",
            "-noout",
            "-fingerprint",
            "-sha1",
            "-ext",
            "extendedKeyUsage",
            "-in",
            tmp_path / "c.pem",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert made.fingerprint.upper() in said
    assert "TLS Web Client Authentication" in said


def test_what_is_no_certificate_is_refused():
    with pytest.raises(InvalidInput, match="Keypair data is invalid"):
        keys.x509_fingerprint("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")


def _blob(public_key):
    import base64

    return base64.b64decode(public_key.split()[1])
