"""Two tenants with the same range: each guest has the same address, and answers in its own network alone."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from computecloud.cli.client import Client
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import Server, boot

pytestmark = pytest.mark.cloud

CIDR, ADDRESS = "10.0.0.0/24", "10.0.0.10"
SSH_S = 90.0


@dataclass(frozen=True)
class Tenant:
    """A project with a network, a key and a server of its own."""

    name: str
    client: Client
    key: Path
    network: dict[str, Any]
    namespace: str
    server: Server

    def asks(self, cloud: Cloud, key: Path) -> str:
        """Return the name of who answers at the address in this tenant's network, under a key."""
        return cloud.ssh(ADDRESS, "hostname", key=key, within=self.namespace).stdout.strip()


@pytest.fixture
def tenants(real_cloud: Cloud, tmp_path: Path) -> Iterator[list[Tenant]]:
    """Return two tenants, one of them new; all that they made goes with the test."""
    password = secrets.token_hex(12)
    as_admin = {"cloud": "computecloud-admin"}
    real_cloud.openstack("project", "create", "second", **as_admin)
    real_cloud.openstack("user", "create", "second", "--password", password, **as_admin)
    real_cloud.openstack(
        "role", "add", "member", "--user", "second", "--project", "second", form="", **as_admin
    )
    demo, second = real_cloud.client("demo"), real_cloud.client("second", password)
    made = [
        a_tenant(real_cloud, name, client, tmp_path) for name, client in (("demo", demo), ("second", second))
    ]
    yield made
    for tenant in made:
        tenant.server.delete()
    for tenant in made:
        tenant.server.await_gone()
        tenant.client.delete(f"/network/v2.0/networks/{tenant.network['id']}")
        tenant.client.delete(f"/compute/v2.1/os-keypairs/{tenant.key.name}")
    real_cloud.openstack("user", "delete", "second", form="", **as_admin)
    real_cloud.openstack("project", "delete", "second", form="", **as_admin)


def let_in(client: Client, protocol: str, ports: dict[str, int]) -> None:
    """Let a protocol into the servers of the client's project."""
    [group] = client.get("/network/v2.0/security-groups?name=default")["security_groups"]
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": protocol, **ports}
    client.post("/network/v2.0/security-group-rules", {"security_group_rule": rule})


def a_tenant(cloud: Cloud, name: str, client: Client, folder: Path) -> Tenant:
    """Make a tenant's network, key and server."""
    key = folder / f"key-{name}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    client.post(
        "/compute/v2.1/os-keypairs", {"keypair": {"name": key.name, "public_key": public, "type": "ssh"}}
    )
    network = client.post("/network/v2.0/networks", {"network": {"name": f"{name}-net"}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": CIDR}
    client.post("/network/v2.0/subnets", {"subnet": subnet})
    for protocol, ports in (("icmp", {}), ("tcp", {"port_range_min": 22, "port_range_max": 22})):
        if name != "demo":  # whose default group lets both in
            let_in(client, protocol, ports)
    before = namespaces()
    networks = [{"uuid": network["id"], "fixed_ip": ADDRESS}]
    server = boot(cloud, client, name=f"of-{name}", key_name=key.name, networks=networks)
    server.await_status("ACTIVE")
    [namespace] = namespaces() - before
    return Tenant(name, client, key, network, namespace, server)


def namespaces() -> set[str]:
    """Return the names of the host's network namespaces."""
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines()}


def test_two_tenants_guests_with_one_address_answer_in_their_own_networks_only(
    real_cloud: Cloud, tenants: list[Tenant]
) -> None:
    one, other = tenants
    assert one.server.address == other.server.address == ADDRESS
    for tenant in tenants:
        said = until(lambda t=tenant: t.asks(real_cloud, t.key), SSH_S, f"{tenant.name}'s guest", every_s=0.3)
        assert said == f"of-{tenant.name}"
    assert one.asks(real_cloud, other.key) == ""
    assert other.asks(real_cloud, one.key) == ""
    routes = json.loads(
        subprocess.run(["ip", "-j", "route"], capture_output=True, text=True, check=True).stdout
    )
    assert [route for route in routes if route["dst"] == CIDR] == [], "the host itself has no way to either"
