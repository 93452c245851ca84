"""What a new installation makes up: the secret key, the two passwords, the SSH key, and clouds.yaml."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from computecloud.cli.installation import ROOT, Installation, write_private

PROJECTS = {"computecloud": "demo", "computecloud-admin": "admin"}  # name of the cloud: user and project


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of the two first users, by user name."""

    admin: str
    demo: str

    def of(self, user: str) -> str:
        """Return a user's password."""
        return {"admin": self.admin, "demo": self.demo}[user]


def passwords(installation: Installation) -> Passwords:
    """Return the passwords, made up the first time."""
    path = installation.passwords_file
    if not path.exists():
        lines = [f"{user} {secrets.token_hex(15)}\n" for user in ("admin", "demo")]  # no "-x"
        write_private(path, "".join(lines))
    known = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip())
    return Passwords(known["admin"], known["demo"])


def secret_key(settings: dict[str, str]) -> str:
    """Return the secret key of the settings, or a new one."""
    return settings.get("SECRET_KEY") or secrets.token_urlsafe(48)


def public_key(installation: Installation) -> str:
    """Return the public part of the demo's SSH key, which is made the first time."""
    private, public = installation.key_file, Path(f"{installation.key_file}.pub")
    if not public.exists():
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        write_private(private, text)
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        public.write_text(f"{line} demo@computecloud\n")
    return public.read_text().strip()


def write_clouds(installation: Installation, base_url: str, region: str, *, authority: str = "") -> None:
    """Write clouds.yaml, and for the checkout's own installation a link to it at the top of the checkout.

    authority is the file that clients check the server's certificate by; empty: the system's authorities.
    """
    known = passwords(installation)
    clouds = {
        cloud: {
            "auth": {
                "auth_url": f"{base_url}/identity/v3",
                "username": user,
                "password": known.of(user),
                "project_name": user,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": region,
            "identity_api_version": "3",
            **({"cacert": authority} if authority else {}),
        }
        for cloud, user in PROJECTS.items()
    }
    # JSON is YAML too.
    write_private(installation.clouds_file, json.dumps({"clouds": clouds}, indent=2) + "\n")
    link = ROOT / "clouds.yaml"
    if installation.is_default and (link.is_symlink() or not link.exists()):
        link.unlink(missing_ok=True)
        link.symlink_to(installation.clouds_file.relative_to(ROOT))
