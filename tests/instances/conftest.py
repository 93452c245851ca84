"""Tenants with tokens, a flavor, an image, and servers in any state, for the tests of this room."""

import itertools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from identity import revocation
from identity.caller import Caller
from identity.tokens import Grant, issue
from images.models import Image
from images.states import Status
from instances import transitions
from instances.models import Flavor, Instance
from quotas import services as quotas

ROOT = "/compute/v2.1"
NEWEST = "2.104"
KEYS_OF_ADMINS = {
    "host_status",
    *(
        f"OS-EXT-SRV-ATTR:{key}"
        for key in (
            *("host", "hypervisor_hostname", "instance_name", "hostname", "kernel_id", "launch_index"),
            *("ramdisk_id", "reservation_id", "root_device_name", "user_data"),
        )
    ),
}
_numbers = itertools.count(1_000_000)


@dataclass
class Tenant:
    """A user with a project, who speaks to the API over HTTP at one version."""

    roles: tuple[str, ...] = ("member", "reader")
    user_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    project_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    version: str = NEWEST

    @property
    def caller(self) -> Caller:
        now = datetime.now(UTC)
        return Caller(
            user_id=self.user_id,
            user_name="somebody",
            project_id=self.project_id,
            project_name="a project",
            roles=frozenset(self.roles),
            is_admin="admin" in self.roles,
            issued_at=now,
            expires_at=now + timedelta(hours=1),
        )

    def at(self, version: str) -> "Tenant":
        """Return the same tenant speaking another version."""
        return Tenant(self.roles, self.user_id, self.project_id, version)

    def call(self, method: str, path: str, body: Any = None, **extra: Any) -> HttpResponse:
        token = issue(
            Grant(
                user_id=self.user_id,
                user_name="somebody",
                user_domain_id="default",
                roles=self.roles,
                project_id=self.project_id,
                project_name="a project",
                project_domain_id="default",
            )
        )
        data = body if isinstance(body, bytes | str) else b"" if body is None else json.dumps(body)
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": f"compute {self.version}"}
        return Client(headers=headers).generic(method, ROOT + path, data, "application/json", **extra)

    def get(self, path: str) -> HttpResponse:
        return self.call("GET", path)

    def post(self, path: str, body: Any) -> HttpResponse:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any) -> HttpResponse:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.call("DELETE", path)


def refused(response: HttpResponse, status: int) -> str:
    """Assert that an answer is the Compute API's fault of this status, and return its message."""
    key = {400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest"}[status]
    assert response.status_code == status, response.content
    (given, fault), *rest = response.json().items()
    assert (given, fault["code"], rest) == (key, status, [])
    assert response["x-openstack-request-id"].startswith("req-")
    return str(fault["message"])


@pytest.fixture
def alice(db: None) -> Tenant:
    tenant = Tenant()
    quotas.unlimit(tenant.project_id)
    return tenant


@pytest.fixture
def bob(db: None) -> Tenant:
    return Tenant()


@pytest.fixture
def admin(db: None) -> Tenant:
    tenant = Tenant(roles=("admin", "manager", "member", "reader"))
    quotas.unlimit(tenant.project_id)
    return tenant


@pytest.fixture
def reader(alice: Tenant) -> Tenant:
    return Tenant(roles=("reader",), project_id=alice.project_id)


@pytest.fixture
def flavor(db: None) -> Flavor:
    return Flavor.objects.create(
        flavorid="1", name="m1.nano", ram=128, disk=1, vcpus=1, extra_specs={"hw:cpu_policy": "shared"}
    )


@pytest.fixture
def image(db: None) -> Image:
    return Image.objects.create(
        name="demo",
        project_id="f" * 32,
        status=Status.ACTIVE,
        visibility="public",
        disk_format="qcow2",
        container_format="bare",
        size_bytes=1_000,
        properties={"hw_disk_bus": "virtio"},
    )


@pytest.fixture
def body(flavor: Flavor, image: Image) -> dict[str, Any]:
    """The least body of POST /servers."""
    return {"server": {"name": "one", "flavorRef": "1", "imageRef": str(image.id), "networks": "none"}}


def a_server(
    tenant: Tenant, vm_state: str = "active", task_state: str | None = None, **columns: Any
) -> Instance:
    """Return a server's row as it would be in this state."""
    number = next(_numbers)
    usual: dict[str, Any] = {
        "number": number,
        "project_id": tenant.project_id,
        "user_id": tenant.user_id,
        "name": f"server {number}",
        "hostname": f"server-{number}",
        "flavor_id": "1",
        "flavor": {
            "vcpus": 1,
            "ram": 128,
            "disk": 1,
            "ephemeral": 0,
            "swap": 0,
            "original_name": "m1.nano",
            "extra_specs": {},
        },
        "image_id": uuid.uuid4(),
        "reservation_id": "r-12345678",
        "security_groups": [{"name": "default"}],
    }
    instance = transitions.fresh(**(usual | columns))
    instance.save(force_insert=True)
    Instance.objects.filter(id=instance.id).update(
        vm_state=vm_state, task_state=task_state, deleted=vm_state == "deleted"
    )
    instance.refresh_from_db()
    return instance


@pytest.fixture
def server(alice: Tenant) -> Callable[..., Instance]:
    return lambda *states, **columns: a_server(alice, *states, **columns)


@pytest.fixture(autouse=True)
def no_query_for_revocations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have revocations read once, not once a second: tests count queries."""
    monkeypatch.setattr(revocation, "REFRESH_S", 3_600.0)
