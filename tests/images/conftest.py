"""An image store of a test's own, callers, and small files of each kind."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.utils import timezone

from computecloud.config import CONFIG
from identity import tokens
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


def qcow2_bytes(
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


class Api:
    """The image API as one caller meets it."""

    def __init__(self, caller: Caller) -> None:
        grant = tokens.Grant(
            user_id=caller.user_id,
            user_name=caller.user_name,
            user_domain_id="default",
            roles=tuple(caller.roles),
            project_id=caller.project_id,
        )
        self._client = Client(headers={"X-Auth-Token": tokens.issue(grant)})

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Return the answer; a body of bytes is sent as it is, another one as JSON."""
        kind = options.pop("content_type", "application/json")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        url = path if path.startswith("/image") else f"/image/v2/{path}"
        return self._client.generic(method, url, data, content_type=kind, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.call("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.call("PUT", path, body, **options)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)

    def patch(self, path: str, *operations: Any, **options: Any) -> Any:
        kind = options.pop("content_type", "application/openstack-images-v2.1-json-patch")
        return self.call("PATCH", path, list(operations), content_type=kind)

    def upload(self, image_id: str, content: bytes, **options: Any) -> Any:
        return self.put(
            f"images/{image_id}/file", content, content_type="application/octet-stream", **options
        )

    def made(self, **document: Any) -> dict[str, Any]:
        """Make an image, raw unless said otherwise, and return its document."""
        answer = self.post("images", {"disk_format": "raw", "container_format": "bare", **document})
        assert answer.status_code == 201, answer.content
        return dict(answer.json())

    def names(self, query: str = "") -> list[str]:
        """Return the names of a list of images."""
        answer = self.get(f"images{query}")
        assert answer.status_code == 200, answer.content
        return [image["name"] for image in answer.json()["images"]]


@pytest.fixture
def as_alice(state: Path, alice: Caller, db: None) -> Api:
    return Api(alice)


@pytest.fixture
def as_bob(state: Path, bob: Caller, db: None) -> Api:
    return Api(bob)


@pytest.fixture
def as_admin(state: Path, admin: Caller, db: None) -> Api:
    return Api(admin)


def bytes_of(answer: HttpResponseBase) -> bytes:
    """Return the body of a streamed answer."""
    return b"".join(answer)
