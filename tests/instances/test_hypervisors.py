"""Hypervisors by the API: uptime, what was asked by name before 2.53, statistics, and what a list costs."""

import re
import uuid

import pytest

from computecloud.wire.errors import Unavailable
from instances import on_host
from instances.api import hypervisors
from scheduling.models import Inventory, Node
from tests.instances.conftest import a_server, refused
from tests.instances.test_operators import nodes  # noqa: F401  # a fixture
from workers.models import Host

UP = " 14:05:01 up 10:25,  0 users,  load average: 6.81, 5.34, 3.96"
pytestmark = pytest.mark.usefixtures("nodes", "asked")


@pytest.fixture
def asked(monkeypatch):
    """Have hosts answer at once, and note which were asked."""
    hosts = []

    def answer(host, kind, params, *, timeout_s):
        hosts.append((host, kind, params))
        if host == "h2":
            raise Unavailable("Host h2 gave no answer.")
        return UP

    monkeypatch.setattr(hypervisors, "ask", answer)
    return hosts


def test_a_hypervisor_says_how_long_it_runs(admin, nodes, asked):  # noqa: F811
    shown = admin.at("2.87").get(f"/os-hypervisors/{nodes[0].id}/uptime").json()["hypervisor"]
    assert shown == {
        "id": str(nodes[0].id),
        "hypervisor_hostname": "n1",
        "state": "up",
        "status": "enabled",
        "uptime": UP,
    }
    assert asked == [("h1", "uptime", {})]
    assert admin.at("2.1").get("/os-hypervisors/1/uptime").json()["hypervisor"]["id"] == 1
    with_servers = admin.at("2.53").get(f"/os-hypervisors/{nodes[0].id}/uptime?with_servers=1")
    assert with_servers.json()["hypervisor"]["servers"] == []


def test_since_2_88_the_uptime_is_in_the_hypervisor_and_null_where_nobody_answers(admin, nodes, asked):  # noqa: F811
    shown = [admin.get(f"/os-hypervisors/{node.id}").json()["hypervisor"]["uptime"] for node in nodes]
    assert shown == [UP, None, None]
    assert [host for host, *_ in asked] == ["h1", "h2"]  # h3 is down: it is not even asked
    refused(admin.get(f"/os-hypervisors/{nodes[0].id}/uptime"), 404)
    asked.clear()
    admin.at("2.87").get(f"/os-hypervisors/{nodes[0].id}")
    admin.get("/os-hypervisors/detail")
    assert asked == []


@pytest.mark.parametrize("name", ["2", "3"])
def test_the_uptime_of_a_host_that_does_not_answer_is_refused(admin, name):
    words = refused(admin.at("2.1").get(f"/os-hypervisors/{name}/uptime"), 400)
    assert words == f"Compute service of h{name} is unavailable at this time."
    refused(admin.at("2.1").get("/os-hypervisors/9/uptime"), 404)


def test_a_host_answers_as_uptime_does():
    assert re.fullmatch(
        r" \d\d:\d\d:\d\d up (\d+ days, )?\d+:\d\d,  0 users,  load average: [\d.]+, [\d.]+, [\d.]+",
        on_host.uptime({}),
    )


def test_hypervisors_are_searched_by_name_before_2_53(admin):
    asker = admin.at("2.52")
    found = asker.get("/os-hypervisors/N3/search").json()["hypervisors"]
    assert found == [{"id": 3, "hypervisor_hostname": "n3", "state": "down", "status": "enabled"}]
    assert len(asker.get("/os-hypervisors/n/search").json()["hypervisors"]) == 3
    words = refused(asker.get("/os-hypervisors/zzz/search"), 404)
    assert words == "No hypervisor matching 'zzz' could be found."
    refused(admin.get("/os-hypervisors/n/search"), 404)


def test_servers_of_hypervisors_are_listed_by_name_before_2_53(admin, alice):
    instance = a_server(alice, host="h2", node="n2")
    asker = admin.at("2.52")
    listed = asker.get("/os-hypervisors/n/servers").json()["hypervisors"]
    assert [one.get("servers") for one in listed] == [
        None,
        [{"uuid": str(instance.id), "name": instance.instance_name}],
        None,
    ]
    assert "servers" not in asker.get("/os-hypervisors/n2/search").json()["hypervisors"][0]
    refused(asker.get("/os-hypervisors/zzz/servers"), 404)
    refused(admin.get("/os-hypervisors/n/servers"), 404)


def test_statistics_add_up_the_enabled_hosts(admin, alice):
    a_server(alice, host="h1", node="n1")
    a_server(alice, host="h2", node="n2")
    a_server(alice, "deleted", host="h1", node="n1")
    Host.objects.filter(name="h2").update(enabled=False)
    found = admin.at("2.87").get("/os-hypervisors/statistics").json()
    assert found == {
        "hypervisor_statistics": {
            "count": 2,
            "current_workload": 0,
            "disk_available_least": 0,
            "running_vms": 1,
            "vcpus": 16,
            "vcpus_used": 2,
            "memory_mb": 8_192,
            "memory_mb_used": 2,
            "free_ram_mb": 8_190,
            "local_gb": 200,
            "local_gb_used": 2,
            "free_disk_gb": 198,
        }
    }
    refused(admin.at("2.88").get("/os-hypervisors/statistics"), 404)


def test_statistics_of_a_cloud_without_hosts_are_zeros(admin):
    Inventory.objects.all().delete()
    Node.objects.all().delete()
    found = admin.at("2.1").get("/os-hypervisors/statistics").json()["hypervisor_statistics"]
    assert set(found.values()) == {0}


def test_before_2_53_a_hypervisor_s_service_has_the_number_that_services_have(admin, nodes):  # noqa: F811
    Node.objects.create(
        id=uuid.uuid4(), number=9, host=nodes[0].host, name="n9", hypervisor_version=1, zone="nova"
    )
    asker = admin.at("2.52")
    listed = {
        one["hypervisor_hostname"]: one["service"]["id"]
        for one in asker.get("/os-hypervisors/detail").json()["hypervisors"]
    }
    assert listed == {"n1": 1, "n2": 2, "n3": 3, "n9": 1}
    assert [one["id"] for one in asker.get("/os-services").json()["services"]] == [1, 2, 3]


@pytest.mark.parametrize("path", ["1/uptime", "n/search", "n/servers", "statistics"])
def test_all_of_it_is_refused_to_tenants(alice, path):
    assert "os_compute_api:os-hypervisors:" in refused(alice.at("2.52").get(f"/os-hypervisors/{path}"), 403)


def grow(start, end):
    hosts = Host.objects.bulk_create(Host(name=f"x{number}", alive=True) for number in range(start, end))
    made = Node.objects.bulk_create(
        Node(id=uuid.uuid4(), number=100 + number, host=host, name=host.name, hypervisor_version=1)
        for number, host in zip(range(start, end), hosts, strict=True)
    )
    Inventory.objects.bulk_create(
        Inventory(node=node, resource_class=resource, total=8)
        for node in made
        for resource in ("VCPU", "MEMORY_MB", "DISK_GB")
    )


@pytest.mark.parametrize(
    ("path", "version", "queries"),
    [
        ("/os-hypervisors/detail", "2.104", 3),
        ("/os-hypervisors/detail?with_servers=true", "2.104", 4),
        ("/os-hypervisors/x/search", "2.52", 5),
        ("/os-hypervisors/x/servers", "2.52", 6),
        ("/os-hypervisors/statistics", "2.87", 3),
    ],
)
def test_it_costs_the_same_for_ten_hosts_and_for_a_thousand(
    admin, django_assert_num_queries, path, version, queries
):
    for start, end in ((0, 10), (10, 997)):
        grow(start, end)
        with django_assert_num_queries(queries):
            answer = admin.at(version).get(path)
        assert answer.status_code == 200
    if "hypervisors" in answer.json():
        assert len(answer.json()["hypervisors"]) >= 997
