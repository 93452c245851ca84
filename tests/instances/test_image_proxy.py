"""/images until version 2.35, its metadata until 2.38."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from images.models import Image
from images.states import Status
from tests.instances.conftest import refused


@pytest.fixture
def old(alice):
    return alice.at("2.35")


def an_image(tenant, name="mine", **columns):
    usual = {
        "status": Status.ACTIVE,
        "visibility": "private",
        "disk_format": "raw",
        "container_format": "bare",
    }
    return Image.objects.create(**{"name": name, "project_id": tenant.project_id, **usual, **columns})


@pytest.fixture
def mine(alice):
    return an_image(
        alice, properties={"os_distro": "debian", "os_version": "12"}, min_ram_mib=64, min_disk_gib=2
    )


def test_an_image_is_shown_with_nova_s_names(old, mine):
    Image.objects.filter(id=mine.id).update(size_bytes=5)
    shown = old.get(f"/images/{mine.id}").json()["image"]
    assert [link["rel"] for link in shown.pop("links")] == ["self", "bookmark", "alternate"]
    made = mine.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert shown == {
        "id": str(mine.id),
        "name": "mine",
        "status": "ACTIVE",
        "progress": 100,
        "minRam": 64,
        "minDisk": 2,
        "metadata": {"os_distro": "debian", "os_version": "12"},
        "created": made,
        "updated": shown["updated"],
        "OS-EXT-IMG-SIZE:size": 5,
    }


def test_an_image_of_a_server_names_it(old, alice):
    server_id = str(uuid.uuid4())
    snapshot = an_image(alice, properties={"instance_uuid": server_id, "auto_disk_config": "True"})
    shown = old.get(f"/images/{snapshot.id}").json()["image"]
    assert shown["server"]["id"] == server_id
    assert shown["server"]["links"][0]["href"].endswith(f"/servers/{server_id}")
    assert shown["OS-DCF:diskConfig"] == "AUTO"


@pytest.mark.parametrize(
    ("status", "word", "progress"),
    [
        (Status.QUEUED, "SAVING", 25),
        (Status.SAVING, "SAVING", 50),
        (Status.ACTIVE, "ACTIVE", 100),
        (Status.DEACTIVATED, "UNKNOWN", 0),
    ],
)
def test_states_are_nova_s(old, alice, status, word, progress):
    shown = old.get(f"/images/{an_image(alice, status=status).id}").json()["image"]
    assert (shown["status"], shown["progress"]) == (word, progress)


def test_images_are_listed_by_filters_newest_first(old, alice, bob, image):
    server_id, long_ago = str(uuid.uuid4()), datetime.now(UTC) - timedelta(days=9)
    snapshot = {"instance_uuid": server_id, "image_type": "snapshot"}
    an_image(alice, "a", status=Status.QUEUED, updated_at=long_ago)
    an_image(alice, "b", properties=snapshot, min_ram_mib=7)
    an_image(bob, "c")

    def names(query=""):
        found = old.get(f"/images{query}").json()["images"]
        assert all(set(one) == {"id", "name", "links"} for one in found)
        return [one["name"] for one in found]

    assert names() == ["b", "a", "demo"]
    assert names("?name=a") == names("?status=saving") == ["a"]
    assert names("?status=ACTIVE") == ["b", "demo"]
    assert names("?status=nonsense") == []
    assert names("?type=snapshot") == names("?minRam=7") == ["b"]
    assert names(f"?server={server_id}") == names(f"?server=http://x/servers/{server_id}") == ["b"]
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert names(f"?changes-since={since}&unknown=x") == ["b", "demo"]
    body = old.get("/images/detail?limit=2").json()
    assert [one["name"] for one in body["images"]] == ["b", "a"]
    after = body["images_links"][0]["href"].partition("/v2.1")[2]
    assert [one["name"] for one in old.get(after).json()["images"]] == ["demo"]


def test_metadata_is_added_replaced_and_removed(old, mine):
    path = f"/images/{mine.id}/metadata"
    assert old.get(path).json() == {"metadata": {"os_distro": "debian", "os_version": "12"}}
    assert old.post(path, {"metadata": {"os_version": "13", "a": "b"}}).json() == {
        "metadata": {"os_distro": "debian", "os_version": "13", "a": "b"}
    }
    assert old.get(f"{path}/a").json() == {"meta": {"a": "b"}}
    assert old.put(f"{path}/a", {"meta": {"a": "c"}}).json() == {"meta": {"a": "c"}}
    assert old.delete(f"{path}/a").status_code == 204
    refused(old.get(f"{path}/a"), 404)
    refused(old.delete(f"{path}/a"), 404)
    assert old.put(path, {"metadata": {"x": "y"}}).json() == {"metadata": {"x": "y"}}
    mine.refresh_from_db()
    assert (mine.properties, mine.name, mine.min_ram_mib) == ({"x": "y"}, "mine", 64)


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({"name": "x"}, 400),
        ({"id": "x"}, 400),
        ({"os_distro": 5}, 400),
        ({"hw_disk_bus": "nonsense"}, 400),
        ({"status": "x"}, 403),
        ({"os_glance_x": "x"}, 403),
    ],
)
def test_metadata_is_no_way_around_the_image_api(old, mine, metadata, status):
    refused(old.post(f"/images/{mine.id}/metadata", {"metadata": metadata}), status)
    refused(old.put(f"/images/{mine.id}/metadata", {"metadata": metadata}), status)
    mine.refresh_from_db()
    assert mine.properties == {"os_distro": "debian", "os_version": "12"}


def test_an_image_is_deleted_by_its_owner(old, bob, reader, image, mine):
    refused(bob.at("2.35").get(f"/images/{mine.id}"), 404)
    refused(bob.at("2.35").delete(f"/images/{mine.id}"), 404)
    refused(reader.at("2.35").delete(f"/images/{mine.id}"), 403)
    refused(reader.at("2.35").put(f"/images/{mine.id}/metadata", {"metadata": {}}), 403)
    refused(old.delete(f"/images/{image.id}"), 403)
    refused(old.put(f"/images/{image.id}/metadata", {"metadata": {}}), 403)
    assert old.delete(f"/images/{mine.id}").status_code == 204
    refused(old.get(f"/images/{mine.id}"), 404)
    refused(old.get("/images/none"), 404)


def test_they_are_gone_in_2_36_and_metadata_in_2_39(alice, mine):
    for path in ("", "/detail", f"/{mine.id}"):
        refused(alice.at("2.36").get(f"/images{path}"), 404)
    assert alice.at("2.38").get(f"/images/{mine.id}/metadata").status_code == 200
    for path in ("metadata", "metadata/os_distro"):
        refused(alice.at("2.39").get(f"/images/{mine.id}/{path}"), 404)
    refused(alice.at("2.36").delete(f"/images/{mine.id}"), 404)
