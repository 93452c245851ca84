"""An image store of a test's own, callers, and small files of each kind."""

import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from django.utils import timezone

from computecloud.config import CONFIG
from identity.caller import Caller

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of this test's own, in which images of up to 1 GiB are accepted."""
    config = msgspec.structs.replace(CONFIG, state_dir=str(tmp_path), image_max_gib=1, host_name="h1")
    for module in ("images.store", "images.cache", "images.services.uploads"):
        monkeypatch.setattr(f"{module}.CONFIG", config)
    return tmp_path


def caller_of(project_id: str | None, *roles: str, is_admin: bool = False) -> Caller:
    now = timezone.now()
    return Caller(
        user_id="u" * 32,
        user_name="somebody",
        project_id=project_id,
        roles=frozenset(roles or ("member", "reader")),
        is_admin=is_admin,
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )


@pytest.fixture
def alice() -> Caller:
    return caller_of("a" * 32)


@pytest.fixture
def bob() -> Caller:
    return caller_of("b" * 32)


@pytest.fixture
def admin(alice: Caller) -> Caller:
    return replace(alice, project_id="0" * 32, roles=frozenset({"admin"}), is_admin=True)


def qcow2_bytes(  # noqa: PLR0913 — each is one field of the header
    *,
    virtual: int = MIB,
    version: int = 3,
    backing: int = 0,
    features: int = 0,
    crypt: int = 0,
    cluster_bits: int = 16,
    l1_entries: int = 1,
    l1: bytes | None = None,
    extensions: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """A qcow2 of header, refcount table and first-level table, a cluster each, made by hand."""
    cluster = 1 << cluster_bits
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb", version, backing, 8 if backing else 0, cluster_bits, virtual, crypt,
        l1_entries, 2 * cluster, cluster, 1, 0, 0,
    )  # fmt: skip
    if version == 3:
        head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    table = l1 if l1 is not None else bytes(8 * l1_entries)
    return (head + extensions).ljust(2 * cluster, b"\0") + table.ljust(cluster, b"\0") + tail


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes bytes into a file and returns its path."""

    def write(content: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return write
