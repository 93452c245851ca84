"""Flavors by the API: who sees which, who makes them, and what is refused."""

import pytest

from identity import sharing
from instances.models import Flavor, FlavorSharing
from tests.instances.conftest import refused


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["flavors"]]


@pytest.fixture
def several(db):
    for number, (ram, disk, public) in enumerate([(512, 1, True), (1_024, 10, True), (2_048, 20, False)]):
        Flavor.objects.create(
            flavorid=f"f{number}", name=f"n{9 - number}", ram=ram, disk=disk, vcpus=1, is_public=public
        )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["f0", "f1"]),
        ("?minRam=1000", ["f1"]),
        ("?minDisk=11", []),
        ("?sort_key=name", ["f1", "f0"]),
        ("?sort_key=memory_mb&sort_dir=desc", ["f1", "f0"]),
        ("?limit=1", ["f0"]),
        ("?marker=f0", ["f1"]),
        ("?name=n9", ["f0"]),
        ("?is_public=none", ["f0", "f1"]),
        ("?is_public=false", ["f0", "f1"]),
    ],
)
def test_a_tenant_lists_public_flavors(alice, several, query, expected):
    assert ids(alice.get(f"/flavors{query}")) == expected
    assert ids(alice.get(f"/flavors/detail{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", ["f0", "f1"]), ("?is_public=None", ["f0", "f1", "f2"]), ("?is_public=no", ["f2"])],
)
def test_an_admin_picks_by_publicity(admin, several, query, expected):
    assert ids(admin.get(f"/flavors{query}")) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("minRam=-1", "minRam"),
        ("minRam=much", "minRam"),
        ("minDisk=1.5", "minDisk"),
        ("is_public=perhaps", "is_public"),
        ("sort_key=nonsense", "sort_key"),
        ("sort_dir=up", "sort_dir"),
        ("marker=nope", "marker [nope] not found"),
        ("limit=-1", "limit"),
        ("nonsense=1", "nonsense"),
    ],
)
def test_a_list_asked_for_wrongly_is_refused(alice, several, query, words):
    assert words in refused(alice.get(f"/flavors?{query}"), 400)


def test_an_admin_makes_describes_and_removes_a_flavor(admin, alice):
    flavor = {
        "name": "big",
        "id": "auto",
        "ram": 4_096,
        "vcpus": "4",
        "disk": 40,
        "swap": 512,
        "description": "x",
    }
    answer = admin.post("/flavors", {"flavor": flavor | {"OS-FLV-EXT-DATA:ephemeral": 5}})
    assert answer.status_code == 200, answer.content
    made = answer.json()["flavor"]
    assert len(made["id"]) == 36
    assert (made["vcpus"], made["swap"], made["OS-FLV-EXT-DATA:ephemeral"]) == (4, 512, 5)
    path = f"/flavors/{made['id']}"
    assert admin.put(path, {"flavor": {"description": "y"}}).json()["flavor"]["description"] == "y"
    assert alice.get(path).json()["flavor"]["description"] == "y"
    answer = admin.delete(path)
    assert (answer.status_code, answer.content) == (202, b"")
    refused(alice.get(path), 404)


def test_no_swap_is_an_empty_text_before_2_75(alice, flavor):
    assert alice.at("2.74").get("/flavors/1").json()["flavor"]["swap"] == ""
    assert alice.at("2.75").get("/flavors/1").json()["flavor"]["swap"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "name"),
        ({"ram": 0}, "ram"),
        ({"ram": "lots"}, "ram"),
        ({"ram": 2**31}, "ram"),
        ({"vcpus": 0}, "vcpus"),
        ({"disk": -1}, "disk"),
        ({"id": "a/b"}, "id"),
        ({"id": "x" * 256}, "id"),
        ({"swap": -1}, "swap"),
        ({"os-flavor-access:is_public": "perhaps"}, "is_public"),
        ({"rxtx_factor": 1.0}, "rxtx_factor"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_nonsense_is_refused_and_leaves_nothing(admin, change, words):
    flavor = {"name": "big", "ram": 1, "vcpus": 1, "disk": 0} | change
    assert words in refused(admin.post("/flavors", {"flavor": flavor}), 400)
    assert Flavor.objects.count() == 0


def test_an_id_may_be_sent_as_a_number(admin):
    new = {"name": "n", "id": 7, "ram": 1, "vcpus": 1, "disk": 0}
    assert admin.post("/flavors", {"flavor": new}).json()["flavor"]["id"] == "7"
    assert "id" in refused(admin.post("/flavors", {"flavor": new | {"id": True}}), 400)
    assert "id" in refused(admin.post("/flavors", {"flavor": new | {"id": 1.5}}), 400)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", ["description", "name", "memory_mb", "created_at"])
def test_pages_follow_each_other_without_gap_in_any_order(alice, key, direction):
    for number in range(9):
        Flavor.objects.create(
            flavorid=f"f{number}",
            name=f"n{9 - number}",
            ram=1 + number % 2,
            disk=1,
            vcpus=1,
            description=("b", None, "a")[number % 3],
        )
    order = f"sort_key={key}&sort_dir={direction}"
    whole, paged = ids(alice.get(f"/flavors?{order}")), []
    for _ in range(5):
        marker = f"&marker={paged[-1]}" if paged else ""
        paged += ids(alice.get(f"/flavors?{order}&limit=2{marker}"))
    assert paged == whole
    assert len(whole) == 9


def test_names_and_ids_are_taken_once(admin, flavor):
    again = {"name": "m1.nano", "ram": 1, "vcpus": 1, "disk": 0}
    assert "Flavor with name m1.nano already exists." in refused(
        admin.post("/flavors", {"flavor": again}), 409
    )
    again = {"name": "other", "id": "1", "ram": 1, "vcpus": 1, "disk": 0}
    assert "Flavor with ID 1 already exists." in refused(admin.post("/flavors", {"flavor": again}), 409)


def test_only_admins_write(alice, flavor):
    body = {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 0}}
    refused(alice.post("/flavors", body), 403)
    refused(alice.delete("/flavors/1"), 403)
    refused(alice.put("/flavors/1", {"flavor": {"description": "x"}}), 403)
    refused(alice.post("/flavors/1/os-extra_specs", {"extra_specs": {"a": "b"}}), 403)
    refused(alice.delete("/flavors/1/os-extra_specs/hw:cpu_policy"), 403)
    refused(alice.get("/flavors/1/os-flavor-access"), 403)
    refused(alice.post("/flavors/1/action", {"addTenantAccess": {"tenant": "x"}}), 403)
    assert Flavor.objects.get().description is None


def test_a_description_can_be_changed_since_2_55(admin, flavor):
    refused(admin.at("2.54").put("/flavors/1", {"flavor": {"description": "x"}}), 404)
    assert admin.at("2.55").put("/flavors/1", {"flavor": {"description": None}}).status_code == 200


def test_a_private_flavor_is_seen_by_whom_it_is_opened_to(admin, alice, bob, several):
    refused(alice.get("/flavors/f2"), 404)
    opened = admin.post("/flavors/f2/action", {"addTenantAccess": {"tenant": alice.project_id}})
    assert opened.json() == {"flavor_access": [{"flavor_id": "f2", "tenant_id": alice.project_id}]}
    refused(admin.post("/flavors/f2/action", {"addTenantAccess": {"tenant": alice.project_id}}), 409)
    assert ids(alice.get("/flavors")) == ["f0", "f1", "f2"]
    assert alice.get("/flavors/f2").status_code == 200
    refused(bob.get("/flavors/f2"), 404)
    assert len(admin.get("/flavors/f2/os-flavor-access").json()["flavor_access"]) == 1
    closed = admin.post("/flavors/f2/action", {"removeTenantAccess": {"tenant": alice.project_id}})
    assert closed.json() == {"flavor_access": []}
    refused(admin.post("/flavors/f2/action", {"removeTenantAccess": {"tenant": alice.project_id}}), 404)
    refused(alice.get("/flavors/f2"), 404)


def test_a_new_private_flavor_is_open_to_nobody_as_in_nova(admin):
    wanted = {"name": "p", "ram": 1, "vcpus": 1, "disk": 1, "id": "p", "os-flavor-access:is_public": False}
    assert admin.post("/flavors", {"flavor": wanted}).status_code == 200
    assert admin.get("/flavors/p/os-flavor-access").json() == {"flavor_access": []}
    assert admin.get("/flavors/p").status_code == 200


def test_a_public_flavor_has_no_access_list(admin, flavor):
    refused(admin.get("/flavors/1/os-flavor-access"), 404)
    refused(admin.post("/flavors/1/action", {"addTenantAccess": {"tenant": "x"}}), 409)
    refused(admin.post("/flavors/1/action", {"fly": {}}), 400)
    refused(admin.post("/flavors/1/action", {}), 400)
    assert FlavorSharing.objects.count() == 0


def test_extra_specs_are_written_one_by_one_and_together(admin, alice, flavor):
    path = "/flavors/1/os-extra_specs"
    assert alice.get(path).json() == {"extra_specs": {"hw:cpu_policy": "shared"}}
    assert admin.post(path, {"extra_specs": {"a": 1, "b": "c"}}).json() == {
        "extra_specs": {"a": "1", "b": "c"}
    }
    assert alice.get(f"{path}/a").json() == {"a": "1"}
    assert admin.put(f"{path}/a", {"a": "2"}).json() == {"a": "2"}
    assert alice.get("/flavors/1").json()["flavor"]["extra_specs"] == {
        "hw:cpu_policy": "shared",
        "a": "2",
        "b": "c",
    }
    assert admin.delete(f"{path}/a").status_code == 200
    refused(alice.get(f"{path}/a"), 404)
    refused(admin.delete(f"{path}/a"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"extra_specs": {}},
        {"extra_specs": []},
        {"extra_specs": {"a/b": "c"}},
        {"extra_specs": {"a": None}},
        {"extra_specs": {"a": ["b"]}},
        {"extra_specs": {"a": "b" * 256}},
        {"extra_specs": {"a": "b"}, "more": 1},
    ],
)
def test_extra_specs_that_make_no_sense_are_refused(admin, flavor, body):
    refused(admin.post("/flavors/1/os-extra_specs", body), 400)
    assert Flavor.objects.get().extra_specs == {"hw:cpu_policy": "shared"}


def test_an_extra_spec_s_key_must_be_that_of_its_address(admin, flavor):
    refused(admin.put("/flavors/1/os-extra_specs/a", {"b": "c"}), 400)
    refused(admin.put("/flavors/1/os-extra_specs/a", None), 400)


def test_a_flavor_that_does_not_exist_is_not_found(admin, alice):
    assert refused(alice.get("/flavors/nope"), 404) == "Flavor nope could not be found."
    refused(admin.delete("/flavors/nope"), 404)
    refused(admin.put("/flavors/nope", {"flavor": {"description": "x"}}), 404)
    refused(alice.get("/flavors/nope/os-extra_specs"), 404)
    refused(admin.post("/flavors/nope/os-extra_specs", {"extra_specs": {"a": "b"}}), 404)


def test_a_list_with_many_opened_flavors_asks_as_often_as_with_few(
    admin, alice, several, django_assert_num_queries
):
    for number in range(60):
        made = Flavor.objects.create(
            flavorid=f"x{number}", name=f"x{number}", ram=1, disk=1, vcpus=1, is_public=False
        )
        if number in (1, 50):
            with django_assert_num_queries(1):
                assert len(ids(alice.get("/flavors/detail"))) == 2 + number
        sharing.share(made, alice.project_id)
    with django_assert_num_queries(2):
        assert alice.get("/flavors/x3").status_code == 200
