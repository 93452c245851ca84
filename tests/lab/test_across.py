"""Guests of one tenant's network on two hosts: one is pinged from the other."""

from collections.abc import Iterator

import pytest

from tests.cloud.cloud import until
from tests.cloud.servers import Server, boot
from tests.cloud.test_real_tenants import namespaces
from tests.lab.test_enroll import SSH_S, Place, a_place

pytestmark = [pytest.mark.cloud, pytest.mark.long]

CIDR, NEAR, FAR = "10.1.0.0/24", "10.1.0.10", "10.1.0.20"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Return a cloud with real guests on its first host, and an enrolled second one."""
    for place in a_place("libvirt"):
        done = place.enroll("--accept-new", "--copy-packages")
        assert done.returncode == 0, done.stdout + done.stderr
        yield place


def test_a_guest_on_an_enrolled_host_is_pinged_from_one_on_the_first(place: Place) -> None:
    admin = place.cloud.admin
    public = (place.cloud.state / "demo_key.pub").read_text()
    admin.post(
        "/compute/v2.1/os-keypairs", {"keypair": {"name": "across", "type": "ssh", "public_key": public}}
    )
    network = admin.post("/network/v2.0/networks", {"network": {"name": "across"}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": CIDR}
    admin.post("/network/v2.0/subnets", {"subnet": subnet})

    def on(host: str, address: str) -> Server:
        nics = [{"uuid": network["id"], "fixed_ip": address}]
        return boot(place.cloud, availability_zone=f"nova:{host}", key_name="across", networks=nics)

    before = namespaces()
    servers = [on(place.cloud.host, NEAR), on(place.machine.name, FAR)]
    try:
        for server in servers:
            server.await_status("ACTIVE", 180)
        [namespace] = namespaces() - before

        def answers() -> bool:
            return place.cloud.ssh(NEAR, "ping", "-c", "1", "-W", "2", FAR, within=namespace).returncode == 0

        until(answers, SSH_S, f"{FAR} to answer {NEAR}", every_s=2.0)
    finally:
        for server in servers:
            server.delete()
        for server in servers:
            server.await_gone()
