"""What doctor says of this room, on rows and on a real host."""

from uuid import uuid4

import pytest

from computecloud.config import CONFIG
from networking import audit, invariants, metadata_address, selectors, wiring
from networking.facts import PlannedNic
from networking.models import Port, PortAddress, Subnet
from networking.services import bind, mark_wired, unbind
from networking.wiring import linux, namespaces, presence
from tests.networking.conftest import a_network, a_subnet
from tests.networking.host import run, seen_from_outside
from workers.models import Finding, Subject


@pytest.fixture
def bound(tenant, network, subnet, instance_id):
    Subject.objects.create(id=instance_id, type="instance")
    facts = bind(instance_id, tenant.project_id, CONFIG.host, [PlannedNic(str(network.id))])
    mark_wired(instance_id)
    return facts


def _rows() -> list:
    checks = [invariants.ports_of_the_gone, invariants.misplaced_addresses, invariants.subnets_without_dhcp]
    return [violation for check in checks for violation in check()]


def test_all_is_well_with_what_the_services_make(bound):
    assert _rows() == []


def test_a_port_of_an_instance_that_is_gone_is_named_and_let_go(bound, instance_id):
    Subject.objects.all().delete()
    [violation] = _rows()
    assert str(instance_id) in violation.what
    violation.fix()
    assert _rows() == []
    assert not Port.objects.filter(instance_id=instance_id).exists()


def test_an_address_of_another_network_and_a_missing_dhcp_address_are_named(bound, tenant):
    other = a_subnet(tenant, a_network(tenant), enable_dhcp=False)
    PortAddress.objects.filter(port=bound[0].port_id).update(subnet=other)
    Subnet.objects.filter(pk=other.pk).update(enable_dhcp=True)
    assert len(_rows()) == 2


def test_with_the_fake_driver_nothing_is_wired_nor_looked_for(bound):
    wiring.connect(bound)
    wiring.disconnect(bound)
    assert not wiring.wires()
    assert list(invariants.left_on_host()) == list(invariants.missing_on_host()) == []
    assert not any(seen_from_outside(selectors.tag()).values())


@pytest.mark.guest
def test_each_kind_of_leftover_on_the_host_is_named_and_mended(bound, instance_id, monkeypatch):
    monkeypatch.setattr(wiring, "wires", lambda: True)
    tag = selectors.tag()
    try:
        linux.connect(bound)
        assert list(invariants.left_on_host()) == list(invariants.missing_on_host()) == []
        network = bound[0].network
        run("nft", "delete", "table", "bridge", f"cc_{tag}")
        run("ip", "link", "del", network.veth)
        [violation] = invariants.missing_on_host()
        assert network.veth in violation.what
        assert f"chain {bound[0].tap}" in violation.what
        violation.fix()
        assert list(invariants.missing_on_host()) == []
        run("nft", "delete", "table", "bridge", f"cc_{tag}")
        Subject.objects.update(holder=uuid4())
        audit.mend(CONFIG.host)
        assert not Finding.objects.exists(), "an operation is at work on it"
        Subject.objects.update(holder=None)
        audit.mend(CONFIG.host)
        assert f"chain {bound[0].tap}" in Finding.objects.get(subject=str(instance_id)).what
        assert list(invariants.missing_on_host()) == []
        unbind(instance_id)
        left = list(invariants.left_on_host())
        assert len(left) == 9
        kinds = {violation.what.split()[0] for violation in left}
        assert kinds == {"link", "namespace", "dnsmasq", "folder", "note", "chain", "table"}
        for violation in left:
            violation.fix()
        assert list(invariants.left_on_host()) == []
        run("ip", "link", "add", f"cc{tag}bplanted", "type", "bridge")
        run("ip", "netns", "add", f"cc{tag}nplanted")
        assert len(list(invariants.left_on_host())) == 2
    finally:
        presence.remove_all(tag)
    assert not any(seen_from_outside(tag).values())


def test_unknown_instances_have_no_ports(db):
    assert selectors.facts_of(uuid4()) == []


@pytest.mark.guest
def test_a_network_whose_guests_get_no_answer_of_the_metadata_service_is_named(bound, monkeypatch):
    monkeypatch.setattr(wiring, "wires", lambda: True)
    linux.connect(bound)
    try:
        [violation] = invariants.unanswered_networks()
        assert bound[0].network_id in violation.what
        [home] = namespaces.present(selectors.tag()).values()
        with namespaces.listen(home, metadata_address.ADDRESS, metadata_address.PORT):
            assert list(invariants.unanswered_networks()) == []
    finally:
        linux.disconnect(bound)
        presence.remove_all(selectors.tag())
