"""What the metadata service answers to whom: every path of its trees, and nothing of anybody else's."""

import base64
import json
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from computecloud.config import CONFIG
from instances.metadata.answers import Answer, Question, answer
from instances.models import Instance
from instances.services import guest_password
from networking import selectors
from networking.facts import PlannedNic
from networking.models import Port
from networking.services import bind, unbind
from tests.instances.conftest import Tenant, a_server, refused
from tests.networking.conftest import a_network, a_subnet

LATEST = "/openstack/latest"


@dataclass
class Guest:
    """A server with one port, as the service sees it: a network and an address."""

    instance: Instance
    network_id: UUID
    address: str

    def asks(self, path: str, method: str = "GET", body: bytes = b"") -> Answer:
        return answer(self.network_id, self.address, Question(method, path.encode(), body))

    def told(self, path: str = f"{LATEST}/meta_data.json") -> dict:
        found = self.asks(path)
        assert (found.status, found.media_type) == (200, "application/json")
        return json.loads(found.body)

    def lines(self, path: str) -> list[str]:
        found = self.asks(path)
        assert (found.status, found.media_type) == (200, "text/plain; charset=UTF-8")
        return found.body.decode().split("\n")


@pytest.fixture(autouse=True)
def forget_the_tag():
    selectors.tag.cache_clear()
    yield
    selectors.tag.cache_clear()


def a_guest(tenant: Tenant, network=None, **columns) -> Guest:
    """Return a guest on a network, by default one of its own with 10.0.0.0/24: there it is 10.0.0.3."""
    if network is None:
        network = a_network(tenant.caller)
        a_subnet(tenant.caller, network)
    instance = a_server(tenant, **columns)
    [port] = bind(instance.id, tenant.project_id, CONFIG.host, [PlannedNic(str(network.id), tag="front")])
    return Guest(instance, network.id, port.fixed_ips[0].address)


@pytest.fixture
def guest(alice: Tenant) -> Guest:
    return a_guest(
        alice,
        name="one",
        hostname="one",
        availability_zone="west",
        key_name="mine",
        key_type="ssh",
        key_data="ssh-ed25519 AAAA",
        user_data=base64.b64encode(b"#!/bin/sh\n\xff").decode(),
        metadata={"role": "web"},
    )


def test_a_guest_is_told_who_it_is(guest):
    told = guest.told()
    assert told["uuid"] == str(guest.instance.id)
    assert (told["name"], told["hostname"], told["availability_zone"]) == ("one", "one", "west")
    assert told["meta"] == {"role": "web"}
    assert told["keys"] == [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA"}]
    assert told["project_id"] == guest.instance.project_id
    assert told["devices"][0]["tags"] == ["front"]
    assert "admin_pass" not in told
    assert len(base64.b64decode(told["random_seed"])) == 512
    assert guest.told()["random_seed"] != told["random_seed"]


def test_a_change_is_told_at_once(guest):
    Instance.objects.filter(id=guest.instance.id).update(metadata={"role": "db"}, name="two")
    assert (guest.told()["meta"], guest.told()["name"]) == ({"role": "db"}, "two")


def test_the_trees_are_listed(guest):
    versions = guest.lines("/openstack")
    assert (versions[0], versions[-2:]) == ("2012-08-10", ["2025-04-04", "latest"])
    assert guest.lines(f"{LATEST}/") == [
        *("meta_data.json", "user_data", "password"),
        *("vendor_data.json", "network_data.json", "vendor_data2.json"),
    ]
    assert guest.lines("/openstack/2012-08-10") == ["meta_data.json", "user_data"]
    assert guest.lines("/")[-2:] == guest.lines("/ec2/")[-2:] == ["2009-04-04", "latest"]
    assert guest.lines("/latest") == ["meta-data/", "user-data"]
    listed = guest.lines("/2009-04-04/meta-data/")
    assert {"ami-id", "block-device-mapping/", "placement/", "public-keys/", "instance-id"} <= set(listed)
    assert guest.lines("/latest/meta-data/public-keys") == ["0=mine"]
    assert guest.lines("/latest/meta-data/public-keys/0/") == ["openssh-key"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA"),
        ("/2009-04-04/meta-data/local-ipv4", "10.0.0.3"),
        ("/1.0/meta-data/hostname", "one"),
        ("/latest/meta-data/placement/availability-zone", "west"),
        ("/latest/meta-data/block-device-mapping/root", "/dev/vda"),
        ("/latest//meta-data/./instance-type", "m1.nano"),
        ("/latest/meta-data/%69nstance-action?x=1", "none"),
        ("/latest/meta-data/security-groups", "default"),
    ],
)
def test_a_leaf_of_ec2s_tree_is_plain_text(guest, path, text):
    assert guest.asks(path) == Answer(200, text.encode())


@pytest.mark.parametrize(
    "path", [f"{LATEST}/user_data", "/latest/user-data", "/openstack/2012-08-10/user_data"]
)
def test_user_data_comes_as_it_was_given(guest, path):
    assert guest.asks(path) == Answer(200, b"#!/bin/sh\n\xff", "application/octet-stream")


def test_network_data_and_vendor_data_are_told(guest):
    network = guest.told(f"{LATEST}/network_data.json")
    assert network["networks"][0]["ip_address"] == guest.address
    assert guest.told(f"{LATEST}/vendor_data.json") == {}
    assert guest.told(f"{LATEST}/vendor_data2.json") == {"static": {}}


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/2014-01-01/meta_data.json",
        "/openstack/2012-08-10/network_data.json",
        f"{LATEST}/meta_data.json/uuid",
        f"{LATEST}/meta_data",
        "/openstack/content/0000",
        "/latest/meta-data/nothing",
        "/latest/meta-data/instance-id/more",
        "/latest/meta-data/public-keys/0/_name",
        "/latest/api/token",
        "/3000-01-01/meta-data",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/openstack/latest/%ff",
        "*",
        "http://169.254.169.254/latest",
    ],
)
def test_what_is_not_in_a_tree_is_not_found(guest, path):
    assert guest.asks(path).status == 404


def test_without_user_data_and_key_there_are_none(alice):
    guest = a_guest(alice)
    assert guest.asks("/latest/user-data").status == guest.asks(f"{LATEST}/user_data").status == 404
    assert guest.lines("/latest") == ["meta-data/"]
    assert "public-keys/" not in guest.lines("/latest/meta-data")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "BREW"])
def test_nothing_but_a_password_can_be_written(guest, method):
    assert guest.asks(f"{LATEST}/meta_data.json", method, b"{}").status == 405


def test_two_tenants_with_the_same_range_are_told_apart(alice, bob):
    one, other = a_guest(alice, name="one"), a_guest(bob, name="other")
    assert one.address == other.address == "10.0.0.3"
    assert (one.told()["name"], other.told()["name"]) == ("one", "other")
    assert one.told()["project_id"] == alice.project_id != other.told()["project_id"]


def test_neighbours_on_a_shared_network_are_told_apart(alice, bob, admin):
    network = a_network(admin.caller, shared=True)
    a_subnet(admin.caller, network)
    one, other = a_guest(alice, network), a_guest(bob, network)
    assert one.told()["uuid"] == str(one.instance.id)
    assert other.told()["uuid"] == str(other.instance.id)


def test_who_has_no_port_is_told_nothing(guest, alice):
    for network_id, address in [
        (guest.network_id, "10.0.0.99"),
        (guest.network_id, "10.0.0.2"),  # the DHCP server's own port
        (uuid4(), guest.address),
        (guest.network_id, "not an address"),
    ]:
        for path in ("/", "/openstack", f"{LATEST}/meta_data.json", f"{LATEST}/password"):
            assert answer(network_id, address, Question("GET", path.encode())).status == 404
        assert (
            answer(network_id, address, Question("POST", b"/openstack/latest/password", b"x")).status == 404
        )
    assert Instance.objects.exclude(guest_password="").count() == 0


def test_a_guest_whose_port_is_on_another_host_is_told_nothing_here(guest):
    Port.objects.filter(instance_id=guest.instance.id).update(host="elsewhere")
    assert guest.asks(LATEST).status == 404


def test_a_deleted_server_is_told_nothing_and_who_has_its_address_next_only_its_own(alice, bob, admin):
    network = a_network(admin.caller, shared=True)
    subnet = a_subnet(admin.caller, network, pools=None)
    gone = a_guest(alice, network)
    Instance.objects.filter(id=gone.instance.id).update(deleted=True)
    assert gone.asks(LATEST).status == 404
    unbind(gone.instance.id)
    assert gone.asks(LATEST).status == 404
    subnet.cursor = 0
    subnet.save()
    heir = a_guest(bob, network)
    assert heir.address == gone.address
    assert heir.told()["uuid"] == str(heir.instance.id)


def test_a_guest_posts_its_password_once_and_its_owner_reads_and_clears_it(guest, alice, bob, reader):
    url = f"/servers/{guest.instance.id}/os-server-password"
    assert guest.asks(f"{LATEST}/password") == Answer(200)
    assert alice.get(url).json() == {"password": ""}
    assert guest.asks("/openstack/2013-04-04/password", "POST", b"c2VjcmV0").status == 200
    assert guest.asks(f"{LATEST}/password", "POST", b"another").status == 409
    assert guest.asks(f"{LATEST}/password") == Answer(200, b"c2VjcmV0")
    assert alice.get(url).json() == reader.get(url).json() == {"password": "c2VjcmV0"}
    assert (
        b"c2VjcmV0"
        not in str(Instance.objects.values_list("guest_password").get(id=guest.instance.id)).encode()
    )
    refused(bob.get(url), 404)
    refused(bob.delete(url), 404)
    refused(reader.delete(url), 403)
    assert alice.delete(url).status_code == 204
    assert alice.get(url).json() == {"password": ""}
    assert guest.asks(f"{LATEST}/password", "POST", b"another").status == 200


@pytest.mark.parametrize("said", [b"", b"x" * 1_021, b"\xff\xfe", b"a\0b"])
def test_a_password_that_is_none_is_refused(guest, said):
    assert guest.asks(f"{LATEST}/password", "POST", said).status == 400
    assert guest.asks(f"{LATEST}/password") == Answer(200)


def test_a_version_without_passwords_takes_none(guest):
    assert guest.asks("/openstack/2012-08-10/password", "POST", b"x").status == 405


def test_a_password_sealed_with_another_key_is_as_if_there_were_none(guest):
    Instance.objects.filter(id=guest.instance.id).update(guest_password="not sealed here")
    assert guest_password.read(Instance.objects.get(id=guest.instance.id)) == ""


def test_an_answer_costs_the_same_among_few_and_many(guest, alice):
    network = a_network(alice.caller)
    a_subnet(alice.caller, network, cidr="10.8.0.0/22")
    first = a_guest(alice, network)
    with CaptureQueriesContext(
        connection,
    ) as few:
        first.told()
    for _ in range(20):
        last = a_guest(alice, network)
    with CaptureQueriesContext(connection) as many:
        last.told()
    assert len(many) == len(few) <= 7
