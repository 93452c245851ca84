"""JSON patches of an image's document."""

import html
from typing import Any

import pytest

from images.models import Image
from tests.images.conftest import Api


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


@pytest.fixture
def path(as_alice: Api) -> str:
    return f"images/{as_alice.made(name='old', os_distro='debian', tags=['a', 'b'])['id']}"


def test_a_patch_changes_what_it_names_and_nothing_else(as_alice: Api, path: str) -> None:
    before = as_alice.get(path).json()
    answer = as_alice.patch(
        path,
        replace("/name", "new"),
        add("/min_disk", 3),
        replace("/min_ram", 64),
        add("/hw_disk_bus", "virtio"),
        add("/x.y", "odd"),
        replace("/os_distro", "ubuntu"),
        replace("/visibility", "private"),
        replace("/protected", True),
        add("/os_hidden", True),
    )
    assert answer.status_code == 200
    changed = {
        "name": "new", "min_disk": 3, "min_ram": 64, "hw_disk_bus": "virtio", "x.y": "odd", "os_distro": "ubuntu",
        "visibility": "private", "protected": True, "os_hidden": True,
    }  # fmt: skip
    after = answer.json()
    assert after == {**before, **changed, "updated_at": after["updated_at"]}
    assert as_alice.get(path).json() == after


def test_properties_and_tags_can_be_taken_away(as_alice: Api, path: str) -> None:
    after = as_alice.patch(path, remove("/os_distro"), remove("/tags/0"), add("/tags/-", "c")).json()
    assert "os_distro" not in after
    assert after["tags"] == ["b", "c"]
    assert as_alice.patch(path, replace("/tags", [])).json()["tags"] == []


def test_an_empty_patch_changes_nothing(as_alice: Api, path: str) -> None:
    before = as_alice.get(path).json()
    assert as_alice.patch(path).json() == before


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("text", 400),
        ({}, 400),
        ({"op": "move", "path": "/name", "from": "/x"}, 400),
        ({"op": ["add"], "path": "/name", "value": 1}, 400),
        ({"op": "add", "path": "/name"}, 400),
        ({"op": "add", "path": 7, "value": 1}, 400),
        (add("name", "x"), 400),
        (add("/", "x"), 400),
        (add("", {}), 400),
        (add("/name/first", "x"), 400),
        (add("/tags/7", "x"), 400),
        (add("/tags/-1", "x"), 400),
        (add("/tags/²", "x"), 400),
        (add("/tags/0/0", "x"), 400),
        (replace("/tags/-", "x"), 400),
        (replace("/tags", "x"), 400),
        (add("/tags/0", 5), 400),
        (replace("/name", 5), 400),
        (replace("/min_disk", "x"), 400),
        (replace("/min_disk", None), 400),
        (replace("/visibility", "x"), 400),
        (replace("/disk_format", "exe"), 400),
        (replace("/os_distro", 5), 400),
        (replace("/os_distro", "x" * 65_536), 400),
        (replace("/status", "active"), 403),
        (replace("/id", "x"), 403),
        (replace("/checksum", "x"), 403),
        (replace("/size", 5), 403),
        (add("/locations/-", {"url": "file:///etc/shadow"}), 400),
        (add("/locations", []), 403),
        (replace("/visibility", "public"), 403),
        (replace("/owner", "b" * 32), 403),
        (remove("/name"), 403),
        (remove("/tags"), 403),
        (replace("/unknown", "x"), 409),
        (remove("/unknown"), 409),
    ],
)
def test_a_wrong_operation_is_refused_and_changes_nothing(
    as_alice: Api, path: str, operation: Any, status: int
) -> None:
    before = as_alice.get(path).json()
    answer = as_alice.patch(path, replace("/min_ram", 5), operation)
    assert answer.status_code == status, answer.content
    assert as_alice.get(path).json() == before


def test_a_patch_is_of_its_own_media_type(as_alice: Api, path: str) -> None:
    assert as_alice.patch(path, replace("/name", "x"), content_type="application/json").status_code == 415
    assert as_alice.call("PATCH", path, {}, content_type=PATCH).status_code == 400
    assert as_alice.call("PATCH", path, b"[", content_type=PATCH).status_code == 400
    assert as_alice.call("PATCH", path, b"", content_type=PATCH).status_code == 400


PATCH = "application/openstack-images-v2.1-json-patch"


def test_the_older_form_names_its_key_by_the_verb(as_alice: Api, path: str) -> None:
    changes = [
        {"replace": "/name", "value": "new"},
        {"add": "/hw_disk_bus", "value": "virtio"},
        {"remove": "/os_distro"},
        {"replace": "/tags", "value": ["c"]},
    ]
    answer = as_alice.patch(path, *changes, content_type=OLDER)
    assert answer.status_code == 200, answer.content
    after = as_alice.get(path).json()
    assert (after["name"], after["hw_disk_bus"], after["tags"]) == ("new", "virtio", ["c"])
    assert "os_distro" not in after


OLDER = "application/openstack-images-v2.0-json-patch"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("text", 400),
        ({}, 400),
        ({"op": "replace", "path": "/name", "value": "x"}, 400),
        ({"add": "/x", "replace": "/name", "value": "x"}, 400),
        ({"add": "/x"}, 400),
        ({"add": 7, "value": "x"}, 400),
        ({"add": "x", "value": "x"}, 400),
        ({"replace": "/status", "value": "x"}, 403),
        ({"add": "/os_distro", "value": "x"}, 409),
        ({"add": "/name", "value": "x"}, 409),
        ({"remove": "/unknown"}, 409),
    ],
)
def test_a_wrong_operation_of_the_older_form_is_refused(
    as_alice: Api, path: str, operation: Any, status: int
) -> None:
    before = as_alice.get(path).json()
    answer = as_alice.patch(path, {"replace": "/min_ram", "value": 5}, operation, content_type=OLDER)
    assert answer.status_code == status, answer.content
    assert as_alice.get(path).json() == before


@pytest.mark.parametrize("key", ["os_glance", "os_glance_foo", "location", "deleted"])
def test_reserved_properties_are_the_service_s(as_alice: Api, path: str, key: str) -> None:
    for answer in (
        as_alice.post("images", {"name": "mine", key: "x"}),
        as_alice.patch(path, add(f"/{key}", "x")),
        as_alice.patch(path, {"add": f"/{key}", "value": "x"}, content_type=OLDER),
    ):
        assert answer.status_code == 403
        assert f"Attribute '{key}' is reserved." in html.unescape(answer.content.decode())


def test_formats_are_fixed_once_there_are_bytes(as_alice: Api, path: str) -> None:
    assert as_alice.patch(path, replace("/disk_format", "qcow2")).status_code == 200
    assert as_alice.patch(path, replace("/disk_format", "raw")).status_code == 200
    assert as_alice.put(f"{path}/file", b"x", content_type="application/octet-stream").status_code == 204
    assert as_alice.patch(path, replace("/disk_format", "qcow2")).status_code == 403
    assert as_alice.patch(path, replace("/name", "still")).status_code == 200


def test_an_administrator_may_publish_and_give_away(as_admin: Api, path: str) -> None:
    after = as_admin.patch(path, replace("/visibility", "public"), replace("/owner", "b" * 32)).json()
    assert (after["visibility"], after["owner"]) == ("public", "b" * 32)


def test_the_owner_of_a_published_image_may_still_edit_it(as_admin: Api, as_alice: Api, path: str) -> None:
    as_admin.patch(path, replace("/visibility", "public"))
    assert as_alice.patch(path, replace("/name", "x")).json()["visibility"] == "public"


def test_an_edit_of_what_was_read_before_another_edit_is_a_conflict(
    as_alice: Api, path: str, alice: Any
) -> None:
    from computecloud.wire.errors import Conflict
    from images import services
    from images.services import Attributes

    stale = Image.objects.get()
    assert as_alice.patch(path, replace("/name", "first")).status_code == 200
    with pytest.raises(Conflict, match="meanwhile"):
        services.edit(
            stale,
            Attributes(name="second", disk_format=stale.disk_format, container_format="bare"),
            caller=alice,
        )
    assert as_alice.get(path).json()["name"] == "first"
