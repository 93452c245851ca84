"""Lists: who sees what, filters, order and pages."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from images.models import Image, ImageTag
from tests.images.conftest import Api


def test_a_project_lists_its_own_and_public_images(as_alice: Api, as_bob: Api, as_admin: Api) -> None:
    as_admin.made(name="public", visibility="public")
    as_admin.made(name="hers", visibility="private")
    for visibility in ("private", "shared", "community"):
        as_alice.made(name=visibility, visibility=visibility)
    assert as_alice.names() == ["community", "shared", "private", "public"]
    assert as_bob.names() == ["public"]
    assert as_bob.names("?visibility=community") == ["community"]
    assert as_bob.names("?visibility=all") == ["community", "public"]
    assert as_bob.names("?visibility=private") == []
    assert as_bob.names("?owner=" + "a" * 32) == []
    assert set(as_admin.names()) == {"community", "shared", "private", "hers", "public"}


def test_a_shared_image_is_listed_once_it_was_accepted(as_alice: Api, as_bob: Api) -> None:
    path = f"images/{as_alice.made(name='offered')['id']}"
    member = f"{path}/members/{'b' * 32}"
    assert as_alice.post(f"{path}/members", {"member": "b" * 32}).json()["status"] == "pending"
    assert as_alice.post(f"{path}/members", {"member": "b" * 32}).status_code == 409
    assert as_bob.get(path).status_code == 200
    assert as_bob.names() == []
    assert as_bob.names("?member_status=pending") == ["offered"]
    assert as_bob.names("?member_status=all&visibility=shared") == ["offered"]
    assert as_alice.put(member, {"status": "accepted"}).status_code == 403
    assert as_bob.put(member, {"status": "perhaps"}).status_code == 400
    assert as_bob.put(member, {"status": "accepted"}).json()["status"] == "accepted"
    assert as_bob.names() == ["offered"]
    assert as_bob.delete(path).status_code == 403
    assert [one["member_id"] for one in as_bob.get(f"{path}/members").json()["members"]] == ["b" * 32]
    assert as_bob.delete(member).status_code == 403
    assert as_alice.delete(member).status_code == 204
    assert as_alice.delete(member).status_code == 404
    assert as_bob.get(path).status_code == 404


def test_only_a_shared_image_has_members(as_alice: Api) -> None:
    path = f"images/{as_alice.made(visibility='private')['id']}"
    assert as_alice.post(f"{path}/members", {"member": "b" * 32}).status_code == 403
    assert as_alice.post(f"{path}/members", {"member": "b b"}).status_code == 400
    assert as_alice.post(f"{path}/members", {"else": "b"}).status_code == 400


@pytest.fixture
def three(as_alice: Api) -> Api:
    as_alice.made(name="one", disk_format="qcow2", tags=["a", "b"], os_distro="debian", min_disk=1)
    as_alice.made(name="two, or", tags=["a"], os_distro="ubuntu", protected=True)
    three = as_alice.made(name="three", **{"os.version": "12"})
    assert as_alice.upload(three["id"], b"x" * 100).status_code == 204
    as_alice.made(name="hidden", os_hidden=True)
    return as_alice


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["three", "two, or", "one"]),
        ("?name=one", ["one"]),
        ("?name=ONE", []),
        ('?name=in:one,"two, or"', ["two, or", "one"]),
        ("?status=active", ["three"]),
        ("?status=in:active,queued", ["three", "two, or", "one"]),
        ("?status=deleted", []),
        ("?disk_format=qcow2", ["one"]),
        ("?container_format=bare&tag=a&tag=b", ["one"]),
        ("?tag=a", ["two, or", "one"]),
        ("?tag=none", []),
        ("?protected=True", ["two, or"]),
        ("?os_hidden=true", ["hidden"]),
        ("?os_distro=debian", ["one"]),
        ("?os_distro=debian&os.version=12", []),
        ("?os.version=12", ["three"]),
        ("?unknown=x", []),
        ("?a__b=x", []),
        ("?properties=x", []),
        ("?size_min=100&size_max=100", ["three"]),
        ("?size_min=101", []),
        ("?created_at=gt:2020-01-01T00:00:00Z", ["three", "two, or", "one"]),
        ("?created_at=lt:2020-01-01T00:00:00", []),
        ("?updated_at=neq:2020-01-01T00:00:00Z", ["three", "two, or", "one"]),
        ("?updated_at=2020-01-01T00:00:00Z", []),
        ("?sort_key=name&sort_dir=asc", ["one", "three", "two, or"]),
        ("?sort=name:desc", ["two, or", "three", "one"]),
        ("?sort=size", ["three", "two, or", "one"]),
        ("?sort_key=disk_format&sort_key=name&sort_dir=desc&sort_dir=asc", ["three", "two, or", "one"]),
        ("?limit=0", []),
        ("?limit=2", ["three", "two, or"]),
        ("?id=in:x,y", []),
        ("?owner=" + "a" * 32, ["three", "two, or", "one"]),
    ],
)
def test_lists_are_filtered_and_sorted(three: Api, query: str, names: list[str]) -> None:
    assert three.names(query) == names


@pytest.mark.parametrize(
    "query",
    [
        "?limit=-1", "?limit=x", "?limit=" + "9" * 30, "?marker=x", "?marker=8d1e8e5c-35e1-4b4c-9f0c-0123456789ab",
        "?sort_key=password", "?sort_dir=up", "?sort=name&sort_key=id", "?sort_key=id&sort_dir=asc&sort_dir=desc",
        "?status=great", "?visibility=secret", "?member_status=x", "?protected=maybe", "?os_hidden=2",
        "?size_min=-5", "?size_max=x", "?created_at=yesterday", "?created_at=gt:", "?updated_at=2020-99-99T00:00:00Z",
        "?name=a%00b", "?sort=", "?sort=,",
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(as_alice: Api, query: str) -> None:
    answer = as_alice.get(f"images{query}")
    assert answer.status_code == 400, answer.content
    assert answer.json()["message"]


@pytest.mark.parametrize(
    "sort", ["", "sort=name:asc,size:desc&", "sort_key=size&", "sort_key=status&sort_dir=asc&"]
)
def test_pages_follow_each_other_without_gap_or_repetition(as_alice: Api, sort: str) -> None:
    for number in range(7):
        made = as_alice.made(name=f"n{number % 3}" if number else None)
        if number % 2:
            as_alice.upload(made["id"], b"x" * (number % 4))
    whole = [image["id"] for image in as_alice.get(f"images?{sort}").json()["images"]]
    assert len(whole) == 7
    paged: list[str] = []
    address: Any = f"/v2/images?{sort}limit=2"
    while address:
        answer = as_alice.get(f"/image{address}").json()
        assert answer["first"] == f"/v2/images?{sort}limit=2".replace(":", "%3A").replace(",", "%2C")
        paged += [image["id"] for image in answer["images"]]
        address = answer.get("next")
    assert paged == whole


def test_a_list_has_at_most_25_images_unless_more_are_asked_for(as_alice: Api) -> None:
    Image.objects.bulk_create(Image(project_id="a" * 32, name=str(number)) for number in range(30))
    first = as_alice.get("images").json()
    assert len(first["images"]) == 25
    assert "marker=" in first["next"]
    assert "next" not in as_alice.get("images?limit=31").json()
    assert len(as_alice.get("images?limit=100000").json()["images"]) == 30


def test_the_number_of_queries_does_not_grow_with_the_images(as_alice: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            as_alice.get("images?limit=1000")
        return sum("images_" in query["sql"] for query in captured)  # revocations are read once a second

    as_alice.made(tags=["a"])
    few = queries()
    images = Image.objects.bulk_create(Image(project_id="a" * 32) for _ in range(50))
    ImageTag.objects.bulk_create(ImageTag(image=image, value=tag) for image in images for tag in "ab")
    assert queries() == few <= 3
