"""os-simple-tenant-usage, and the log of usage audits that nobody runs."""

from datetime import UTC, datetime, timedelta

import pytest

from instances.models import Instance
from tests.instances.conftest import a_server, refused
from workers.models import Host

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)
PERIOD = "start=2026-01-02T00:00:00&end=2026-01-03T00:00:00.000000"
FLAVOR = {
    "vcpus": 2,
    "ram": 512,
    "disk": 4,
    "ephemeral": 1,
    "swap": 9,
    "original_name": "m1",
    "extra_specs": {},
}


def ran(tenant, began_h, ended_h=None, **columns):
    """Return a server that ran from and until so many hours after the period's begin."""
    made = a_server(tenant, "deleted" if ended_h is not None else "active", flavor=FLAVOR, **columns)
    Instance.objects.filter(id=made.id).update(
        launched_at=BEGIN + timedelta(hours=began_h),
        terminated_at=None if ended_h is None else BEGIN + timedelta(hours=ended_h),
    )
    return made


@pytest.fixture
def servers(alice, bob):
    """Servers that ran: before, into, in, out of, through and after the period."""
    ran(alice, -4, -1)
    ran(alice, 25)
    a_server(alice, "building")
    return [ran(alice, -4, 1), ran(alice, 2, 4), ran(alice, 23), ran(bob, -1, 99)]


def test_a_project_s_usage_is_what_its_servers_ran_in_the_period(alice, servers):
    usage = alice.get(f"/os-simple-tenant-usage/{alice.project_id}?{PERIOD}").json()["tenant_usage"]
    each = usage.pop("server_usages")
    assert usage == {
        "tenant_id": alice.project_id,
        "start": "2026-01-02T00:00:00.000000",
        "stop": "2026-01-03T00:00:00.000000",
        "total_hours": 4.0,
        "total_vcpus_usage": 8.0,
        "total_memory_mb_usage": 2_048.0,
        "total_local_gb_usage": 20.0,
    }
    by_id = {one["instance_id"]: one for one in each}
    assert {key: one["hours"] for key, one in by_id.items()} == {
        str(server.id): hours for server, hours in zip(servers[:3], (1.0, 2.0, 1.0), strict=True)
    }
    assert by_id[str(servers[1].id)] == {
        "instance_id": str(servers[1].id),
        "name": servers[1].name,
        "tenant_id": alice.project_id,
        "flavor": "m1",
        "vcpus": 2,
        "memory_mb": 512,
        "local_gb": 5,
        "state": "terminated",
        "started_at": "2026-01-02T02:00:00.000000",
        "ended_at": "2026-01-02T04:00:00.000000",
        "uptime": 7_200,
        "hours": 2.0,
    }
    running = by_id[str(servers[2].id)]
    assert (running["state"], running["ended_at"]) == ("active", None)


def test_an_admin_lists_all_projects_with_details_where_asked(admin, alice, bob, servers):
    listed = admin.get(f"/os-simple-tenant-usage?{PERIOD}").json()["tenant_usages"]
    assert {one["tenant_id"]: one["total_hours"] for one in listed} == {
        alice.project_id: 4.0,
        bob.project_id: 24.0,
    }
    assert all("server_usages" not in one for one in listed)
    detailed = admin.get(f"/os-simple-tenant-usage?{PERIOD}&detailed=1").json()["tenant_usages"]
    assert sorted(len(one["server_usages"]) for one in detailed) == [1, 3]


def test_nobody_used_anything_in_no_time(admin, alice, servers):
    assert admin.get("/os-simple-tenant-usage?start=2025-01-01&end=2025-01-02").json() == {
        "tenant_usages": []
    }
    assert alice.get(
        f"/os-simple-tenant-usage/{alice.project_id}?start=2025-01-01&end=2025-01-02"
    ).json() == {"tenant_usage": {}}
    assert admin.get("/os-simple-tenant-usage").status_code == 200


def test_usage_comes_in_pages_since_2_40(admin, servers):
    seen, path = [], f"/os-simple-tenant-usage?{PERIOD}&detailed=1&limit=3"
    while path:
        body = admin.get(path).json()
        seen += [one["instance_id"] for usage in body["tenant_usages"] for one in usage["server_usages"]]
        after = body.get("tenant_usages_links", [])
        path = after[0]["href"].partition("/v2.1")[2] if after else ""
    assert sorted(seen) == sorted(str(server.id) for server in servers)
    refused(admin.get(f"/os-simple-tenant-usage?{PERIOD}&marker=none"), 400)
    whole = admin.at("2.39").get(f"/os-simple-tenant-usage?{PERIOD}&detailed=1&limit=1").json()
    assert sum(len(one["server_usages"]) for one in whole["tenant_usages"]) == 4
    assert set(whole) == {"tenant_usages"}


@pytest.mark.parametrize(
    "query",
    [
        "start=2026-01-03T00:00:00&end=2026-01-02T00:00:00",
        "start=2026-01-03T00:00:00&end=2026-01-03T00:00:00",
        "start=2999-01-01T00:00:00",
        "start=yesterday",
        "unknown=x",
    ],
)
def test_a_wrong_query_is_400(admin, query):
    refused(admin.get(f"/os-simple-tenant-usage?{query}"), 400)


def test_usage_is_the_project_s_own_and_the_admins(alice, bob, reader, admin):
    path = f"/os-simple-tenant-usage/{alice.project_id}"
    assert reader.get(path).status_code == admin.get(path).status_code == 200
    refused(bob.get(path), 403)
    refused(alice.get("/os-simple-tenant-usage"), 403)


def test_no_host_audits_usage(admin, alice):
    Host.objects.create(name="h1", alive=True)
    shown = admin.get("/os-instance_usage_audit_log/2026-03-31 12:30:00").json()["instance_usage_audit_log"]
    assert shown == {
        "period_beginning": "2026-02-01 00:00:00",
        "period_ending": "2026-03-01 00:00:00",
        "num_hosts": 1,
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": 1,
        "hosts_not_run": ["h1"],
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": "0 of 1 hosts done. 0 errors.",
        "log": {},
    }
    listed = admin.get("/os-instance_usage_audit_log").json()["instance_usage_audit_logs"]
    assert listed.keys() == shown.keys()
    for wrong in ("yesterday", "0001-01-01 00:00:00", "2026-02-30 00:00:00"):
        refused(admin.get(f"/os-instance_usage_audit_log/{wrong}"), 400)
    refused(alice.get("/os-instance_usage_audit_log"), 403)
    refused(alice.get("/os-instance_usage_audit_log/2026-03-31 12:30:00"), 403)
