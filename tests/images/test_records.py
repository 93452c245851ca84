"""Image records over HTTP: what is answered, and what is refused."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from images.models import Image, ImageMember, ImageTag
from tests.images.conftest import Api

SHOWN = {
    "id", "name", "owner", "visibility", "disk_format", "container_format", "min_disk", "min_ram", "protected",
    "os_hidden", "tags", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value",
    "created_at", "updated_at", "self", "file", "schema",
}  # fmt: skip


def test_a_new_image_is_queued_and_belongs_to_the_callers_project(as_alice: Api) -> None:
    answer = as_alice.post(
        "images",
        {
            "name": "x",
            "disk_format": "qcow2",
            "container_format": "bare",
            "tags": ["b", "a", "b"],
            "os_distro": "debian",
        },
    )
    assert answer.status_code == 201
    shown = answer.json()
    assert set(shown) == SHOWN | {"os_distro"}
    assert answer["Location"] == f"http://testserver/image/v2/images/{shown['id']}"
    assert (shown["status"], shown["owner"], shown["visibility"]) == ("queued", "a" * 32, "shared")
    assert (shown["size"], shown["checksum"], shown["os_hash_algo"]) == (None, None, None)
    assert (shown["tags"], shown["os_distro"]) == (["a", "b"], "debian")
    assert shown["self"] == f"/v2/images/{shown['id']}"
    assert shown["file"] == f"/v2/images/{shown['id']}/file"
    assert datetime.fromisoformat(shown["created_at"]).tzinfo
    assert as_alice.get(f"images/{shown['id']}").json() == shown


def test_an_image_may_have_an_id_of_the_callers_choice_once(as_alice: Api, as_bob: Api) -> None:
    wanted = str(uuid4())
    assert as_alice.made(id=wanted)["id"] == wanted
    assert as_bob.post("images", {"id": wanted}).status_code == 409
    assert as_alice.delete(f"images/{wanted}").status_code == 204
    assert as_alice.post("images", {"id": wanted}).status_code == 409


def test_an_almost_empty_document_is_enough(as_alice: Api) -> None:
    answer = as_alice.post("images", {})
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["disk_format"]) == (None, None)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ([], 400),
        ("text", 400),
        (None, 400),
        ({"name": 5}, 400),
        ({"name": "x" * 256}, 400),
        ({"name": "a\0b"}, 400),
        ({"id": "not-a-uuid"}, 400),
        ({"id": None}, 400),
        ({"disk_format": "exe"}, 400),
        ({"disk_format": "vmdk"}, 400),
        ({"disk_format": ["raw"]}, 400),
        ({"container_format": "ova"}, 400),
        ({"visibility": "secret"}, 400),
        ({"visibility": None}, 400),
        ({"min_disk": -1}, 400),
        ({"min_disk": 2**31}, 400),
        ({"min_ram": "many"}, 400),
        ({"min_ram": 1.5}, 400),
        ({"protected": "perhaps"}, 400),
        ({"tags": "a"}, 400),
        ({"tags": [1]}, 400),
        ({"tags": ["x" * 256]}, 400),
        ({"tags": [str(n) for n in range(129)]}, 400),
        ({"owner": {"id": 1}}, 400),
        ({"os_distro": 5}, 400),
        ({"os_distro": None}, 400),
        ({"os_distro": {"a": 1}}, 400),
        ({"k" * 256: "x"}, 400),
        ({"key\x01": "x"}, 400),
        ({"": "x"}, 400),
        ({"key": "x" * 65_536}, 400),
        ({f"key{n}": "x" for n in range(129)}, 400),
        ({"properties": {"a": "b"}}, 400),
        ({"status": "active"}, 403),
        ({"checksum": "0" * 32}, 403),
        ({"size": 5}, 403),
        ({"locations": [{"url": "file:///etc/shadow"}]}, 403),
        ({"self": "/"}, 403),
        ({"visibility": "public"}, 403),
        ({"owner": "b" * 32}, 403),
        ({"key": "x" * 200_000}, 413),
    ],
)
def test_a_wrong_document_is_refused_and_makes_nothing(as_alice: Api, document: Any, status: int) -> None:
    answer = as_alice.post("images", document)
    assert answer.status_code == status, answer.content
    assert answer.json()["message"]
    assert not Image.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": "a", "name": "b"}', b"[" * 10_000, b'{"a": NaN}'])
def test_bad_json_is_refused(as_alice: Api, body: bytes) -> None:
    assert as_alice.post("images", body).status_code == 400
    assert as_alice.call("POST", "images", b"<x/>", content_type="text/xml").status_code == 415
    assert not Image.objects.exists()


KNOWN_FORM = "8d1e8e5c-35e1-4b4c-9f0c-0123456789ab"


@pytest.mark.parametrize(
    "image_id", ["x", "a" * 32, "%00", "../etc", "{" + KNOWN_FORM + "}", KNOWN_FORM.upper(), KNOWN_FORM]
)
def test_what_is_no_image_id_is_not_found(as_alice: Api, image_id: str) -> None:
    assert as_alice.get(f"images/{image_id}").status_code == 404
    assert as_alice.delete(f"images/{image_id}").status_code == 404
    assert as_alice.patch(f"images/{image_id}").status_code == 404
    assert as_alice.upload(image_id, b"x").status_code == 404
    assert as_alice.get(f"images/{image_id}/file").status_code == 404


@pytest.mark.parametrize("visibility", ["private", "shared"])
def test_anothers_image_is_not_found_whatever_is_done_with_it(
    as_alice: Api, as_bob: Api, visibility: str
) -> None:
    path = f"images/{as_alice.made(visibility=visibility)['id']}"
    answers = [
        as_bob.get(path),
        as_bob.delete(path),
        as_bob.patch(path, {"op": "replace", "path": "/name", "value": "mine"}),
        as_bob.get(f"{path}/file"),
        as_bob.put(f"{path}/file", b"x", content_type="application/octet-stream"),
        as_bob.put(f"{path}/tags/x"),
        as_bob.delete(f"{path}/tags/x"),
        as_bob.post(f"{path}/actions/deactivate"),
        as_bob.get(f"{path}/members"),
        as_bob.post(f"{path}/members", {"member": "b" * 32}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert as_bob.names() == []


@pytest.mark.parametrize("visibility", ["public", "community"])
def test_a_public_or_community_image_is_seen_but_not_changed_by_others(
    as_admin: Api, as_bob: Api, visibility: str
) -> None:
    path = f"images/{as_admin.made(visibility=visibility)['id']}"
    assert as_bob.get(path).status_code == 200
    answers = [
        as_bob.delete(path),
        as_bob.patch(path, {"op": "replace", "path": "/name", "value": "mine"}),
        as_bob.put(f"{path}/file", b"x", content_type="application/octet-stream"),
        as_bob.put(f"{path}/tags/x"),
        as_bob.post(f"{path}/actions/deactivate"),
    ]
    assert {answer.status_code for answer in answers} == {403}


def test_an_administrator_makes_public_images_for_others_and_sees_all(as_admin: Api, as_alice: Api) -> None:
    path = f"images/{as_alice.made(visibility='private')['id']}"
    assert as_admin.get(path).status_code == 200
    assert as_admin.made(visibility="public", owner="b" * 32)["owner"] == "b" * 32
    assert as_admin.delete(path).status_code == 204


def test_a_deleted_image_is_gone_but_its_row_stays(as_alice: Api) -> None:
    path = f"images/{as_alice.made(tags=['a'])['id']}"
    assert as_alice.post(f"{path}/members", {"member": "b" * 32}).status_code == 200
    assert as_alice.delete(path).status_code == 204
    assert as_alice.get(path).status_code == 404
    assert as_alice.delete(path).status_code == 404
    assert as_alice.names() == []
    assert Image.objects.get().deleted_at is not None
    assert not ImageTag.objects.exists() and not ImageMember.objects.exists()


def test_a_protected_image_is_not_deleted(as_alice: Api) -> None:
    path = f"images/{as_alice.made(protected=True)['id']}"
    assert as_alice.delete(path).status_code == 403
    assert as_alice.patch(path, {"op": "replace", "path": "/protected", "value": False}).status_code == 200
    assert as_alice.delete(path).status_code == 204


def test_tags_are_hung_on_and_taken_off_one_by_one(as_alice: Api) -> None:
    path = f"images/{as_alice.made(tags=['a'])['id']}"
    for _ in range(2):
        assert as_alice.put(f"{path}/tags/b c").status_code == 204
    assert as_alice.get(path).json()["tags"] == ["a", "b c"]
    assert as_alice.delete(f"{path}/tags/a").status_code == 204
    assert as_alice.delete(f"{path}/tags/a").status_code == 404
    assert as_alice.put(f"{path}/tags/{'x' * 256}").status_code == 400
    assert as_alice.put(f"{path}/tags/%01").status_code == 400
    assert as_alice.get(path).json()["tags"] == ["b c"]


def test_an_image_has_at_most_128_tags(as_alice: Api) -> None:
    path = f"images/{as_alice.made(tags=[str(n) for n in range(128)])['id']}"
    assert as_alice.put(f"{path}/tags/127").status_code == 204
    assert as_alice.put(f"{path}/tags/more").status_code == 400


def test_only_an_active_image_is_deactivated(as_alice: Api) -> None:
    path = f"images/{as_alice.made()['id']}"
    assert as_alice.post(f"{path}/actions/deactivate").status_code == 409
    as_alice.put(f"{path}/file", b"x", content_type="application/octet-stream")
    for action, status in (("deactivate", "deactivated"), ("reactivate", "active")):
        for _ in range(2):
            assert as_alice.post(f"{path}/actions/{action}").status_code == 204
        assert as_alice.get(path).json()["status"] == status
    assert as_alice.post(f"{path}/actions/explode").status_code == 404


@pytest.mark.parametrize("name", ["image", "images", "member", "members"])
def test_schemas_are_there_for_clients_that_ask(as_alice: Api, name: str) -> None:
    assert as_alice.get(f"schemas/{name}").json()["name"] == name
    assert as_alice.get("schemas/else").status_code == 404


def test_without_a_token_nothing_is_answered(as_alice: Api) -> None:
    for path in ("images", f"images/{uuid4()}", f"images/{uuid4()}/file", "schemas/image"):
        assert as_alice.get(path, headers={"X-Auth-Token": "wrong"}).status_code == 401
