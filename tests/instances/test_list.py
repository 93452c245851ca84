"""GET /servers and /servers/detail: filters, order, pages, and what a list costs."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.listing import SORT_KEYS
from instances.models import Instance
from tests.instances.conftest import a_server, refused

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def names(answer):
    assert answer.status_code == 200, answer.content
    return [one["name"] for one in answer.json()["servers"]]


def found(tenant, query):
    return set(names(tenant.get(f"/servers?{query}")))


def test_a_tenant_sees_its_own_servers_newest_first(alice, bob, server):
    for number in range(3):
        server(name=f"s{number}", created_at=NOON + timedelta(minutes=number))
    a_server(bob, name="foreign")
    assert names(alice.get("/servers")) == ["s2", "s1", "s0"]
    assert names(alice.get("/servers/detail")) == ["s2", "s1", "s0"]


def test_dates_and_documents_are_in_the_api_s_form(alice, server):
    instance = server(
        created_at=NOON,
        updated_at=NOON,
        launched_at=NOON,
        terminated_at=NOON.replace(microsecond=5),
        addresses={"n": [{"addr": "10.0.0.5", "version": 4}]},
        metadata={"k": 'q"'},
        host="h1",
        node="n1",
    )
    (shown,) = alice.get("/servers/detail").json()["servers"]
    assert (shown["created"], shown["updated"]) == ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z")
    assert shown["OS-SRV-USG:launched_at"] == "2026-01-01T12:00:00.000000"
    assert shown["OS-SRV-USG:terminated_at"] == "2026-01-01T12:00:00.000005"
    assert shown["addresses"] == instance.addresses
    assert shown["metadata"] == {"k": 'q"'}
    assert shown["flavor"]["original_name"] == "m1.nano"
    assert shown["image"] == {
        "id": str(instance.image_id),
        "links": [{"rel": "bookmark", "href": f"http://testserver/compute/images/{instance.image_id}"}],
        "properties": {},
    }
    assert shown["links"][0]["href"] == f"http://testserver/compute/v2.1/servers/{instance.id}"
    assert shown["links"][1]["href"] == f"http://testserver/compute/servers/{instance.id}"
    assert len(shown["hostId"]) == 56
    assert shown["locked"] is False
    assert shown["config_drive"] == ""


def test_a_project_in_the_path_stays_in_the_links(alice, server):
    instance = server()
    (shown,) = alice.get(f"/{alice.project_id}/servers").json()["servers"]
    assert shown["links"][0]["href"].endswith(f"/compute/v2.1/{alice.project_id}/servers/{instance.id}")


def test_a_server_that_boots_from_a_volume_shows_no_image(alice, server):
    server(image_id=None)
    assert alice.get("/servers/detail").json()["servers"][0]["image"] == ""


def test_details_of_a_fault_of_code_500_are_the_admins(alice, admin, server):
    fault = {"code": 500, "message": "m", "created": "2026-01-01T00:00:00Z", "details": "d"}
    instance = server("error", fault=fault)
    assert alice.get(f"/servers/{instance.id}").json()["server"]["fault"] == {
        key: value for key, value in fault.items() if key != "details"
    }
    assert admin.get(f"/servers/{instance.id}").json()["server"]["fault"] == fault


@pytest.fixture
def several(alice, server):
    server(
        name="web.1",
        addresses={"n": [{"addr": "10.0.0.5", "version": 4}]},
        tags=["red", "blue"],
        hostname="h",
    )
    server(
        "stopped",
        name="db",
        key_name="k",
        user_data="x",
        tags=["blüe"],
        locked_by="owner",
        host="h1",
        node="n1",
    )
    server("error", name="WEB-2", addresses={"n": [{"addr": "fd00::5", "version": 6}]}, flavor_id="big")
    server("active", "rebooting", name="cache", availability_zone="west", config_drive=True)
    server("deleted", name="gone", updated_at=NOON + timedelta(days=1))
    return Instance.objects.get(name="db")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=web", "web.1 WEB-2"),
        ("name=^web%5C.[0-9]$", "web.1"),
        ("name=e%24", "cache"),
        ("name=100%25", ""),
        ("status=ACTIVE", "web.1"),
        ("status=active&status=SHUTOFF", "web.1 db"),
        ("status=REBOOT", "cache"),
        ("status=ERROR", "WEB-2"),
        ("flavor=big", "WEB-2"),
        ("ip=10.0.0", "web.1"),
        ("ip=0.5", "web.1"),
        ("ip=^10.0.0.5$", "web.1"),
        ("ip=^0.5", ""),
        ("ip=5", "web.1"),
        ("ip6=fd00", "WEB-2"),
        ("ip6=FD00::5", "WEB-2"),
        ("tags=red", "web.1"),
        ("tags=red,blue", "web.1"),
        ("tags=red,green", ""),
        ("tags-any=red,green", "web.1"),
        ("tags=bl%C3%BCe", "db"),
        ("not-tags=red", "db WEB-2 cache"),
        ("not-tags-any=red,bl%C3%BCe", "WEB-2 cache"),
        ("locked=true", "db"),
        ("locked=false", "web.1 WEB-2 cache"),
        ("key_name=k", "db"),
        ("availability_zone=west", "cache"),
        ("config_drive=True", "cache"),
        ("vm_state=stopped", "db"),
        ("task_state=rebooting", "cache"),
        ("image=00000000-0000-0000-0000-000000000000", ""),
        ("image=nonsense", ""),
        ("host=h1", "web.1 db WEB-2 cache"),
        ("changes-since=2026-01-02T00:00:00Z&name=gone", "gone"),
        ("changes-since=2100-01-02", ""),
        ("changes-before=2026-01-01T00:00:00Z", ""),
        ("limit=0", "web.1 db WEB-2 cache"),
    ],
)
def test_a_filter_finds_what_it_names(alice, several, query, expected):
    assert found(alice, query) == set(expected.split())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("host=h1", "db"),
        ("all_tenants=1&node=n1", "db"),
        ("deleted=true", "gone"),
        ("status=deleted", "gone"),
        ("uuid=nonsense", ""),
        ("locked_by=owner", "db"),
        ("all_tenants=True&project_id=nobody", ""),
    ],
)
def test_an_admin_filters_by_more(alice, admin, several, query, expected):
    own = admin.at(admin.version)
    own.project_id = alice.project_id
    assert found(own, query) == set(expected.split())


def test_an_admin_lists_every_tenant_only_when_asked(alice, admin, server):
    server(name="hers")
    assert found(admin, "name=hers") == set()
    assert found(admin, "all_tenants") == {"hers"}
    assert found(admin, f"all_tenants=1&tenant_id={alice.project_id}") == {"hers"}


def test_users_filter_by_more_since_2_83(alice, several):
    assert found(alice.at("2.82"), "key_name=k") == {"web.1", "db", "WEB-2", "cache"}
    assert found(alice.at("2.83"), "key_name=k") == {"db"}


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("status=SLEEPING", 400, "Invalid status value"),
        ("status=deleted", 403, "administrators"),
        ("all_tenants=1", 403, "get_all_tenants"),
        ("all_tenants=perhaps", 400, "all_tenants"),
        ("sort_key=nonsense", 400, "sort_key"),
        ("sort_key=host", 403, "administrators"),
        ("sort_key=node", 403, "administrators"),
        ("sort_dir=up", 400, "sort_dir"),
        ("limit=-1", 400, "limit"),
        ("limit=many", 400, "limit"),
        ("limit=99999999999999999999", 400, "limit"),
        ("marker=nonsense", 400, "marker [nonsense] not found"),
        (f"marker={uuid.UUID(int=4)}", 400, "not found"),
        ("changes-since=yesterday", 400, "date-time"),
        ("changes-before=2026-13-01", 400, "date-time"),
        ("changes-since=2026-01-02&changes-before=2026-01-01", 400, "less than or equal"),
        ("launched_at=nonsense", 400, "launched_at"),
        ("name=(a%2B)%2Bb", 400, "Invalid regular expression"),
        ("name=[", 400, "Invalid regular expression"),
        ("name=*", 400, "Invalid regular expression"),
        ("name=a*b*c*", 400, "repetitions"),
        ("power_state=high", 400, "power_state"),
        ("nonsense=1", 400, "nonsense"),
        ("name=%00", 400, "NUL"),
        ("name=" + "x" * 300, 400, "name"),
    ],
)
def test_a_list_asked_for_wrongly_is_refused(alice, server, query, status, words):
    server()
    assert words in refused(alice.get(f"/servers/detail?{query}"), status)


def test_older_versions_ignore_what_they_do_not_know(alice, server):
    server(name="one")
    assert found(alice.at("2.74"), "nonsense=1") == {"one"}
    assert found(alice.at("2.37"), "status=SLEEPING") == set()
    refused(alice.at("2.38").get("/servers?status=SLEEPING"), 400)


@pytest.mark.parametrize("version", ["2.1", "2.74", "2.104"])
@pytest.mark.parametrize(
    "key", ["_sa_instance_state", "__wrapped__", "system_metadata", "pci_devices", "services"]
)
def test_names_of_what_lies_inside_are_never_ignored(alice, version, key):
    refused(alice.at(version).get(f"/servers?{key}=x"), 400)
    refused(alice.at(version).get(f"/servers/detail?{key}"), 400)


def test_the_same_asked_many_times_is_asked_once(alice, server):
    server(name="one")
    assert found(alice, "&".join(["status=active"] * 900)) == {"one"}
    assert found(alice, "&".join(["sort_key=display_name"] * 900)) == {"one"}
    assert found(alice, "tags-any=" + ",".join("abcdefgh" * 15)) == set()


def test_as_many_tags_may_be_named_as_a_server_has(alice, server):
    many = sorted(f"{number:02}" + "t" * 58 for number in range(50))
    server(name="one", tags=many)
    assert found(alice, "tags=" + ",".join(many)) == {"one"}
    refused(alice.get("/servers?tags-any=" + ",".join(str(number) for number in range(51))), 400)


def test_a_foreign_server_is_no_marker(alice, bob):
    foreign = a_server(bob)
    assert "not found" in refused(alice.get(f"/servers?marker={foreign.id}"), 400)


def test_pages_follow_each_other_and_keep_the_query(alice, server):
    for number in range(5):
        server(name=f"s{number}", created_at=NOON)
    server(name="other")
    path, seen = "/servers?limit=2&name=s&sort_key=display_name&sort_dir=asc", []
    while path:
        answer = alice.get(path).json()
        seen += [one["name"] for one in answer["servers"]]
        after = answer.get("servers_links")
        path = after[0]["href"].partition("/compute/v2.1")[2] if after else None
        assert path is None or "name=s" in path
    assert seen == [f"s{number}" for number in range(5)]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", sorted(SORT_KEYS))
def test_every_sort_key_pages_through_all_servers_without_a_gap(admin, key, direction):
    for number in range(4):
        filled = number % 2 == 0
        a_server(
            admin,
            host="h" if filled else None,
            node="n" if filled else None,
            key_name="k" if filled else None,
            description="d" if filled else None,
            launched_at=NOON if filled else None,
            root_device_name="/dev/vda" if filled else None,
            created_at=NOON,
        )
    whole = [
        one["id"] for one in admin.get(f"/servers?sort_key={key}&sort_dir={direction}").json()["servers"]
    ]
    assert len(whole) == 4
    paged, marker = [], ""
    for _ in whole:
        (one,) = admin.get(f"/servers?sort_key={key}&sort_dir={direction}&limit=1{marker}").json()["servers"]
        paged.append(one["id"])
        marker = f"&marker={one['id']}"
    assert paged == whole


@pytest.mark.parametrize("path", ["/servers", "/servers/detail"])
@pytest.mark.parametrize("who", ["alice", "admin"])
def test_a_list_costs_the_same_number_of_queries_for_10_and_for_1000_servers(request, path, who):
    tenant = request.getfixturevalue(who)
    template = a_server(tenant, host="h1", node="n1")

    def cost():
        with CaptureQueriesContext(connection) as queries:
            answer = tenant.get(path + "?limit=1000")
        return len(answer.json()["servers"]), len([one for one in queries if "identity_" not in one["sql"]])

    _copies(template, 9)
    few = cost()
    _copies(template, 990)
    many = cost()
    assert (few[0], many[0]) == (10, 1_000)
    assert few[1] == many[1] <= 2


def _copies(template, count):
    columns = {field.attname: getattr(template, field.attname) for field in Instance._meta.concrete_fields}
    highest = Instance.objects.order_by("-number").values_list("number", flat=True)[0]
    Instance.objects.bulk_create(
        Instance(**(columns | {"id": uuid.uuid4(), "number": highest + 1 + number}))
        for number in range(count)
    )


def test_showing_one_server_costs_one_query(alice, server, django_assert_num_queries):
    instance = server()
    with django_assert_num_queries(1):
        alice.get(f"/servers/{instance.id}")
