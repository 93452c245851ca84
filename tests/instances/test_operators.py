"""What operators ask: services, hypervisors, zones, limits, extensions."""

import uuid

import pytest

from quotas import services as quotas
from scheduling.models import Inventory, Node
from tests.instances.conftest import a_server, refused
from workers.models import Host


@pytest.fixture
def nodes(db):
    made = []
    for number in (1, 2, 3):
        host = Host.objects.create(name=f"h{number}", alive=number < 3, heartbeat_at=None)
        node = Node.objects.create(
            id=uuid.uuid4(),
            number=number,
            host=host,
            name=f"n{number}",
            zone="nova",
            hypervisor_type="QEMU",
            hypervisor_version=7_002_000,
            architecture="x86_64",
            cpu_info={"model": "x"},
            host_ip="127.0.0.1",
        )
        for resource, total in (("VCPU", 8), ("MEMORY_MB", 4_096), ("DISK_GB", 100)):
            Inventory.objects.create(node=node, resource_class=resource, total=total, used=1)
        made.append(node)
    return made


KEYS_2_1 = {
    *("cpu_info", "current_workload", "disk_available_least", "free_disk_gb", "free_ram_mb", "host_ip"),
    *("hypervisor_hostname", "hypervisor_type", "hypervisor_version", "id", "local_gb", "local_gb_used"),
    *("memory_mb", "memory_mb_used", "running_vms", "service", "state", "status", "vcpus", "vcpus_used"),
}
GONE_IN_2_88 = {
    *(
        "cpu_info",
        "current_workload",
        "free_disk_gb",
        "free_ram_mb",
        "local_gb",
        "local_gb_used",
        "memory_mb",
    ),
    *("memory_mb_used", "running_vms", "vcpus", "vcpus_used"),
}


def test_hypervisors_have_the_keys_of_their_version(admin, nodes):
    a_server(admin, host="h1", node="n1")
    oldest = admin.at("2.1").get("/os-hypervisors/detail").json()["hypervisors"][0]
    assert set(oldest) == KEYS_2_1
    assert (oldest["id"], oldest["service"]["id"], oldest["cpu_info"]) == (1, 1, '{"model": "x"}')
    assert (oldest["vcpus"], oldest["free_ram_mb"], oldest["running_vms"]) == (8, 4_095, 1)
    newest = admin.get("/os-hypervisors/detail").json()["hypervisors"][0]
    assert set(newest) == (KEYS_2_1 - GONE_IN_2_88) | {"uptime"}
    assert newest["id"] == str(nodes[0].id)
    assert admin.at("2.28").get("/os-hypervisors/1").json()["hypervisor"]["cpu_info"] == {"model": "x"}
    assert set(admin.get("/os-hypervisors").json()["hypervisors"][0]) == {
        *("id", "hypervisor_hostname", "state", "status")
    }


def test_a_hypervisor_is_named_by_number_and_since_2_53_by_uuid(admin, nodes):
    assert admin.at("2.52").get("/os-hypervisors/2").json()["hypervisor"]["hypervisor_hostname"] == "n2"
    assert admin.get(f"/os-hypervisors/{nodes[1].id}").json()["hypervisor"]["hypervisor_hostname"] == "n2"
    for version, name in (
        ("2.52", "9"),
        ("2.52", "x"),
        ("2.52", "9" * 30),
        ("2.53", "2"),
        ("2.53", str(uuid.uuid4())),
    ):
        refused(admin.at(version).get(f"/os-hypervisors/{name}"), 404)


def test_hypervisors_list_their_servers_when_asked(admin, nodes):
    instance = a_server(admin, host="h2", node="n2")
    listed = admin.get("/os-hypervisors?with_servers=true").json()["hypervisors"]
    assert [one["servers"] for one in listed] == [
        [],
        [{"uuid": str(instance.id), "name": instance.instance_name}],
        [],
    ]


def test_hypervisors_are_paged_and_found_by_name(admin, nodes):
    answer = admin.get("/os-hypervisors?limit=2").json()
    assert len(answer["hypervisors"]) == 2
    assert f"marker={nodes[1].id}" in answer["hypervisors_links"][0]["href"]
    assert len(admin.get(f"/os-hypervisors?marker={nodes[1].id}").json()["hypervisors"]) == 1
    found = admin.get("/os-hypervisors?hypervisor_hostname_pattern=n3").json()["hypervisors"]
    assert [(one["hypervisor_hostname"], one["state"]) for one in found] == [("n3", "down")]
    refused(admin.get("/os-hypervisors?marker=nope"), 400)
    refused(admin.get("/os-hypervisors?hypervisor_hostname_pattern=zzz"), 404)
    refused(admin.get("/os-hypervisors?nonsense=1"), 400)


def test_a_list_of_hypervisors_costs_the_same_for_any_number(admin, nodes, django_assert_num_queries):
    with django_assert_num_queries(3):
        admin.get("/os-hypervisors/detail")


def test_services_are_the_hosts_workers(admin, nodes):
    listed = admin.get("/os-services").json()["services"]
    assert [(one["host"], one["state"], one["zone"]) for one in listed] == [
        ("h1", "up", "nova"),
        ("h2", "up", "nova"),
        ("h3", "down", "nova"),
    ]
    assert set(listed[0]) == {
        *("binary", "disabled_reason", "host", "id", "state", "status", "updated_at", "zone", "forced_down")
    }
    assert listed[0]["id"] == str(nodes[0].host_id)
    assert admin.at("2.10").get("/os-services").json()["services"][0].keys() == set(listed[0]) - {
        "forced_down"
    }
    assert [one["id"] for one in admin.at("2.52").get("/os-services?host=h2").json()["services"]] == [2]
    assert admin.get("/os-services?binary=nova-scheduler").json()["services"] == []


def test_there_are_no_aggregates(admin):
    assert admin.get("/os-aggregates").json() == {"aggregates": []}


def test_zones_are_listed_and_admins_see_their_hosts(alice, admin, nodes):
    assert alice.get("/os-availability-zone").json() == {
        "availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}]
    }
    refused(alice.get("/os-availability-zone/detail"), 403)
    (zone,) = admin.get("/os-availability-zone/detail").json()["availabilityZoneInfo"]
    assert zone["hosts"]["h1"]["nova-compute"] == {"available": True, "active": True, "updated_at": None}


def test_limits_are_those_of_the_version(alice, admin):
    quotas.set_limits(alice.project_id, instances=7, cores=8, ram_mib=9)
    newest = alice.get("/limits").json()["limits"]
    assert newest["rate"] == []
    assert (newest["absolute"]["maxTotalInstances"], newest["absolute"]["maxTotalRAMSize"]) == (7, 9)
    assert len(newest["absolute"]) == 11
    assert [
        len(alice.at(v).get("/limits").json()["limits"]["absolute"]) for v in ("2.1", "2.36", "2.39")
    ] == [19, 14, 13]
    refused(alice.get("/limits?tenant_id=other"), 403)
    other = admin.get(f"/limits?tenant_id={alice.project_id}").json()["limits"]["absolute"]
    assert other["maxTotalInstances"] == 7


def test_extensions_are_a_short_list(alice):
    listed = alice.get("/extensions").json()["extensions"]
    assert "os-keypairs" in [one["alias"] for one in listed]
    assert alice.get("/extensions/os-keypairs").json()["extension"] == next(
        one for one in listed if one["alias"] == "os-keypairs"
    )
    refused(alice.get("/extensions/nope"), 404)


@pytest.mark.parametrize(
    "path",
    ["/os-services", "/os-hypervisors", "/os-hypervisors/detail", "/os-hypervisors/1", "/os-aggregates"],
)
def test_operators_matters_are_refused_to_tenants(alice, path):
    refused(alice.get(path), 403)


@pytest.mark.parametrize("path", ["/servers/x/fly", "/nonsense", "/flavors/1/2/3", "/servers/"])
def test_what_is_no_address_is_not_found(alice, path):
    refused(alice.get(path), 404)


def test_a_method_that_an_address_does_not_have_is_refused(alice):
    answer = alice.delete("/servers")
    assert answer.status_code == 405
    assert answer.json()["badMethod"]["code"] == 405


def test_queries_that_mean_nothing_are_refused_since_2_102(alice, server):
    path = f"/servers/{server().id}?nonsense=1"
    refused(alice.get(path), 400)
    assert alice.at("2.101").get(path).status_code == 200
