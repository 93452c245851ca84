"""os-hosts, until version 2.42."""

import pytest

from tests.instances.conftest import a_server, refused
from tests.instances.test_operators import nodes  # noqa: F401  # a fixture
from workers.models import Host

pytestmark = pytest.mark.usefixtures("nodes")


@pytest.fixture
def old(admin):
    return admin.at("2.42")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["h1", "h2", "h3"]),
        ("?zone=nova", ["h1", "h2", "h3"]),
        ("?zone=", ["h1", "h2", "h3"]),
        ("?zone=mars", []),
        ("?unknown=x", ["h1", "h2", "h3"]),
    ],
)
def test_hosts_are_listed_by_zone(old, query, names):
    found = old.get(f"/os-hosts{query}").json()["hosts"]
    assert found == [{"host_name": name, "service": "compute", "zone": "nova"} for name in names]


def test_a_host_tells_its_resources_and_who_has_them(old, alice, bob):
    for tenant in (alice, alice, bob):
        a_server(tenant, host="h1", node="n1")
    a_server(alice, host="h2", node="n2")
    a_server(alice, "deleted", host="h1", node="n1")
    found = [one["resource"] for one in old.get("/os-hosts/h1").json()["host"]]
    assert {one["host"] for one in found} == {"h1"}
    assert {one["project"]: (one["cpu"], one["memory_mb"], one["disk_gb"]) for one in found} == {
        "(total)": (8, 4_096, 100),
        "(used_now)": (1, 1, 1),
        "(used_max)": (3, 384, 3),
        alice.project_id: (2, 256, 2),
        bob.project_id: (1, 128, 1),
    }
    empty = [one["resource"] for one in old.get("/os-hosts/h3").json()["host"]]
    assert [one["project"] for one in empty] == ["(total)", "(used_now)", "(used_max)"]
    assert empty[2]["cpu"] == 0


def test_a_host_is_disabled_and_enabled_and_has_no_maintenance(old):
    assert old.put("/os-hosts/h1", {"status": "disable"}).json() == {"host": "h1", "status": "disabled"}
    assert not Host.objects.get(name="h1").enabled
    assert old.put("/os-hosts/h1", {"status": "Enable"}).json() == {"host": "h1", "status": "enabled"}
    assert Host.objects.get(name="h1").enabled
    assert old.put("/os-hosts/h1", {"status": "disable", "maintenance_mode": "enable"}).status_code == 501
    assert Host.objects.get(name="h1").enabled


@pytest.mark.parametrize(
    "body", [{}, {"status": "invalid"}, {"status": "enable", "maintenance_mode": "x"}, {"x": "y"}]
)
def test_a_wrong_change_is_400(old, body):
    refused(old.put("/os-hosts/h1", body), 400)


@pytest.mark.parametrize("action", ["startup", "shutdown", "reboot"])
def test_machines_are_not_switched(old, action):
    assert old.get(f"/os-hosts/h1/{action}").status_code == 501
    refused(old.get(f"/os-hosts/h9/{action}"), 404)


def test_an_unknown_host_is_404(old):
    assert refused(old.get("/os-hosts/h9"), 404) == "Compute host h9 could not be found."
    refused(old.put("/os-hosts/h9", {"status": "enable"}), 404)
    refused(old.get("/os-hosts/h1/explode"), 404)


@pytest.mark.parametrize("path", ["", "/h1", "/h1/reboot"])
def test_hosts_are_for_admins_and_gone_in_2_43(admin, alice, path):
    refused(alice.at("2.42").get(f"/os-hosts{path}"), 403)
    refused(admin.at("2.43").get(f"/os-hosts{path}"), 404)


def test_changing_a_host_is_for_admins_and_gone_in_2_43(admin, alice):
    refused(alice.at("2.42").put("/os-hosts/h1", {"status": "disable"}), 403)
    refused(admin.at("2.43").put("/os-hosts/h1", {"status": "disable"}), 404)
