"""Compute services by the API: filters, enabling and disabling, forcing down, and removal."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import transaction

from computecloud.wire.errors import Conflict
from instances.services import hosts as removal
from networking.models import HostWiring
from scheduling import claims
from scheduling.models import Allocation, Inventory, Node
from tests.instances.conftest import a_server, refused
from tests.instances.test_operators import nodes  # noqa: F401  # a fixture
from tests.quotas.conftest import together
from tests.scheduling.conftest import request
from workers.models import Footprint, Host, Operation

pytestmark = pytest.mark.usefixtures("nodes")


@pytest.fixture
def h3(nodes):  # noqa: F811
    """Return the host that is down, with nothing on it."""
    Inventory.objects.update(used=0)
    return nodes[2].host


def put(admin, name, **changes):
    return admin.put(f"/os-services/{Host.objects.get(name=name).id}", changes)


def old(admin, action, version="2.52", **body):
    return admin.at(version).put(f"/os-services/{action}", {"binary": "nova-compute", **body})


def as_it_is(name):
    return Host.objects.values_list("enabled", "disabled_reason", "forced_down", "alive").get(name=name)


def test_services_are_filtered_by_host_and_binary(admin):
    def hosts(query):
        return [one["host"] for one in admin.get(f"/os-services{query}").json()["services"]]

    assert hosts("?host=h2&binary=nova-compute") == ["h2"]
    assert hosts("?host=h9") == hosts("?binary=nova-conductor") == []
    assert hosts("") == ["h1", "h2", "h3"]
    refused(admin.get("/os-services?nonsense=1"), 400)


def test_a_service_is_disabled_with_a_reason_and_enabled_again(admin):
    shown = put(admin, "h1", status="disabled", disabled_reason="a disk is dying").json()["service"]
    assert (shown["status"], shown["disabled_reason"], shown["state"]) == (
        "disabled",
        "a disk is dying",
        "up",
    )
    assert set(shown) == {
        *("binary", "disabled_reason", "forced_down", "host", "id", "state", "status", "updated_at", "zone")
    }
    assert as_it_is("h1") == (False, "a disk is dying", False, True)
    shown = put(admin, "h1", status="enabled").json()["service"]
    assert (shown["status"], shown["disabled_reason"]) == ("enabled", None)
    assert put(admin, "h1", status="disabled").json()["service"]["disabled_reason"] is None


def test_a_service_that_is_forced_down_is_down_and_stays_enabled(admin):
    shown = put(admin, "h1", forced_down=True).json()["service"]
    assert (shown["state"], shown["status"], shown["forced_down"]) == ("down", "enabled", True)
    assert as_it_is("h1") == (True, "", True, False)
    assert put(admin, "h1", forced_down="false").json()["service"]["forced_down"] is False


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "No updates were requested. Fields 'status' or 'forced_down' should be specified."),
        ({"disabled_reason": "x"}, "No updates were requested."),
        (
            {"status": "enabled", "disabled_reason": "x"},
            "Specifying 'disabled_reason' when status is 'enabled' is invalid.",
        ),
        ({"status": "off"}, "status"),
        ({"status": "disabled", "disabled_reason": ""}, "disabled_reason"),
        ({"status": "disabled", "disabled_reason": "x" * 256}, "disabled_reason"),
        ({"status": "disabled", "disabled_reason": "a\nb"}, "disabled_reason"),
        ({"forced_down": 2}, "forced_down"),
        ({"status": "enabled", "host": "h2"}, "host"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(admin, body, words):
    assert words in refused(put(admin, "h1", **body), 400)
    assert as_it_is("h1") == (True, "", False, True)


def test_before_2_53_the_address_says_what_is_done(admin):
    service = {"host": "h1", "binary": "nova-compute"}
    assert old(admin, "disable", host="h1").json() == {"service": service | {"status": "disabled"}}
    reason = {"disabled_reason": "rack moves"}
    assert old(admin, "disable-log-reason", host="h1", **reason).json() == {
        "service": service | {"status": "disabled"} | reason
    }
    assert as_it_is("h1") == (False, "rack moves", False, True)
    assert old(admin, "enable", host="h1").json() == {"service": service | {"status": "enabled"}}
    assert old(admin, "force-down", host="h1", forced_down=True).json() == {
        "service": service | {"forced_down": True}
    }
    assert as_it_is("h1") == (True, "", True, False)
    old(admin, "force-down", host="h1", forced_down=False)
    assert as_it_is("h1") == (True, "", False, False)


@pytest.mark.parametrize(
    ("action", "version", "body", "status", "words"),
    [
        ("fly", "2.52", {"host": "h1"}, 404, "Unknown action"),
        ("force-down", "2.10", {"host": "h1"}, 404, "Unknown action"),
        ("enable", "2.10", {"host": "h1", "forced_down": True}, 400, "forced_down"),
        ("enable", "2.52", {}, 400, "host"),
        ("enable", "2.52", {"host": "h9"}, 404, "Host h9 could not be found."),
        (
            "enable",
            "2.52",
            {"host": "h1", "binary": "nova-conductor"},
            404,
            "Could not find binary nova-conductor on host h1.",
        ),
        ("disable-log-reason", "2.52", {"host": "h1"}, 400, "Missing disabled reason field"),
        ("force-down", "2.52", {"host": "h1"}, 400, "Missing forced_down field"),
    ],
)
def test_an_old_action_that_makes_no_sense_is_refused(admin, action, version, body, status, words):
    assert words in refused(old(admin, action, version, **body), status)
    assert as_it_is("h1") == (True, "", False, True)


@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_service_that_is_not_there_is_not_found(admin, method):
    def ask(service_id):
        body = {"status": "enabled"}
        return (
            admin.put(f"/os-services/{service_id}", body)
            if method == "put"
            else admin.delete(f"/os-services/{service_id}")
        )

    missing = uuid.uuid4()
    assert refused(ask(missing), 404) == f"Compute service {missing} could not be found."
    assert "Invalid uuid" in refused(ask("1"), 400)


def test_a_host_that_is_down_and_empty_is_removed_with_all_that_is_kept_of_it(admin, h3):
    HostWiring.objects.create(host="h3")
    Footprint.objects.create(
        subject_id=uuid.uuid4(), operation_id=uuid.uuid4(), step="s", kind="k", name="n", host="h3"
    )
    assert admin.delete(f"/os-services/{h3.id}").status_code == 204
    assert [one["host"] for one in admin.get("/os-services").json()["services"]] == ["h1", "h2"]
    assert not Node.objects.filter(name="n3").exists()
    assert (HostWiring.objects.count(), Footprint.objects.count(), Inventory.objects.count()) == (0, 0, 6)


def test_before_2_53_a_service_is_removed_by_a_number_that_stays_the_same(admin, h3):
    before = admin.at("2.52").get("/os-services").json()["services"]
    assert [one["id"] for one in before] == [1, 2, 3]
    Host.objects.filter(name="h2").update(alive=False)
    assert admin.at("2.52").delete("/os-services/2").status_code == 204
    assert [one["id"] for one in admin.at("2.52").get("/os-services").json()["services"]] == [1, 3]
    refused(admin.at("2.52").delete("/os-services/2"), 404)
    refused(admin.at("2.52").delete("/os-services/nope"), 404)


def test_a_host_with_servers_is_not_removed(admin, h3):
    a_server(admin, host="h3", node="n3")
    assert refused(admin.delete(f"/os-services/{h3.id}"), 409) == (
        "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
    )
    assert Host.objects.filter(name="h3").exists()


def test_a_host_where_something_is_claimed_is_not_removed(admin, h3):
    consumer = request()
    with transaction.atomic():
        assert claims.claim(consumer, h3.nodes.get().id)
    assert "hosting instances" in refused(admin.delete(f"/os-services/{h3.id}"), 409)
    assert (Allocation.objects.count(), Inventory.objects.count()) == (len(consumer.resources), 9)


def test_a_host_where_an_operation_runs_is_not_removed(admin, h3):
    Operation.objects.create(kind="stop", subject_type="instance", subject_id=uuid.uuid4(), host="h3")
    assert "in-progress" in refused(admin.delete(f"/os-services/{h3.id}"), 409)


def test_a_host_that_is_up_is_not_removed(admin, h3):
    Host.objects.filter(name="h3").update(alive=True)
    assert "Stop its worker" in refused(admin.delete(f"/os-services/{h3.id}"), 409)
    assert Node.objects.filter(name="n3").exists()


def test_after_a_removal_nothing_can_be_claimed_there(h3):
    node = h3.nodes.get().id
    removal.remove(h3)
    with transaction.atomic():
        assert not claims.claim(request(), node)


@pytest.mark.django_db(transaction=True)
def test_of_a_removal_and_claims_at_once_one_side_is_refused(h3):
    node = h3.nodes.get().id

    def claim():
        with transaction.atomic():
            return claims.claim(request(), node)

    outcomes = together(lambda: removal.remove(h3) or "removed", *[claim] * 4)
    if "removed" in outcomes:
        assert sorted(map(str, outcomes)) == ["False"] * 4 + ["removed"]
        assert not Node.objects.filter(id=node).exists()
    else:
        assert sum(isinstance(one, Conflict) for one in outcomes) == 1
        assert outcomes.count(True) == 4
        assert Inventory.objects.filter(node_id=node).count() == 3


def test_services_are_refused_to_tenants(alice, nodes):  # noqa: F811
    path = f"/os-services/{nodes[0].host_id}"
    refused(alice.put(path, {"status": "disabled"}), 403)
    refused(alice.delete(path), 403)
    refused(alice.at("2.52").put("/os-services/disable", {"host": "h1", "binary": "nova-compute"}), 403)
    assert as_it_is("h1") == (True, "", False, True)


def test_services_show_when_they_were_heard(admin):
    Host.objects.filter(name="h1").update(heartbeat_at=datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert admin.get("/os-services").json()["services"][0]["updated_at"] == "2026-11-27T12:00:00.000000"


def test_a_list_of_services_costs_the_same_for_ten_and_for_a_thousand(admin, django_assert_num_queries):
    for start, end in ((0, 10), (10, 1_000)):
        Host.objects.bulk_create(Host(name=f"x{number}", alive=True) for number in range(start, end))
        with django_assert_num_queries(3):
            assert len(admin.get("/os-services").json()["services"]) == end + 3
