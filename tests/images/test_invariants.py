"""Each kind of leftover is named by doctor's checks, and fixed where nothing is lost by it."""

import io
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.test import Client

from identity.caller import Caller
from identity.models import User
from identity.services.bootstrap import bootstrap
from images import cache, invariants, services, store
from images.models import Image
from images.services import Attributes
from images.states import DiskFormat, Status
from workers.invariants import Violation, registered

pytestmark = pytest.mark.django_db

RAW = Attributes(name="raw", disk_format=DiskFormat.RAW, container_format="bare")
CHECKS = (
    invariants.bytes_without_image,
    invariants.image_without_bytes,
    invariants.dead_upload,
    invariants.cached_without_image,
    invariants.unfinished_in_cache,
)


@pytest.fixture
def in_use(monkeypatch: pytest.MonkeyPatch) -> set[UUID]:
    """The images that guests of every host need, as another room would say."""
    needed: set[UUID] = set()
    monkeypatch.setattr(invariants, "_in_use", [lambda _host: needed])
    return needed


@pytest.fixture
def whole(state: Path, alice: Caller, in_use: set[UUID]) -> UUID:
    """An active image that is cached, and nothing wrong."""
    image = services.create(RAW, caller=alice)
    services.upload(image.id, io.BytesIO(b"x"), announced_bytes=None, caller=alice)
    cache.of_host("h1").fetch(image.id)
    assert found() == {}
    return image.id


def found() -> dict[str, list[Violation]]:
    return {check.__name__: violations for check in CHECKS if (violations := list(check()))}


def only(check: str) -> Violation:
    """Return the one violation that there is, which this check found."""
    violations = found()
    assert set(violations) == {check}
    assert len(violations[check]) == 1
    return violations[check][0]


def fix_all() -> int:
    """Do what `doctor --fix` does; returns how many violations could be fixed."""
    fixes = [one.fix for violations in found().values() for one in violations if one.fix]
    for fix in fixes:
        fix()
    return len(fixes)


def test_every_check_is_registered() -> None:
    assert set(CHECKS) <= set(registered().values())


def test_bytes_of_an_unknown_image_are_named_and_removed(whole: UUID) -> None:
    stranger = uuid4()
    store.path(stranger).write_bytes(b"left over")
    assert str(stranger) in only("bytes_without_image").what
    assert fix_all() == 1
    assert found() == {}
    assert store.stored() == {whole}


def test_bytes_of_a_deleted_and_of_a_queued_image_are_named_and_removed(whole: UUID, alice: Caller) -> None:
    queued, deleted = services.create(RAW, caller=alice), services.create(RAW, caller=alice)
    services.delete(deleted.id, caller=alice)
    for image in (queued, deleted):
        store.path(image.id).write_bytes(b"left over")
    assert len(found()["bytes_without_image"]) == 2
    assert fix_all() == 2
    assert found() == {}


def test_an_image_whose_bytes_are_gone_or_cut_is_named_and_never_mended_away(whole: UUID) -> None:
    path = store.path(whole)
    path.chmod(0o600)
    path.write_bytes(b"")
    assert "no bytes in the store, not 1" in only("image_without_bytes").what
    path.unlink()
    assert str(whole) in only("image_without_bytes").mend
    assert fix_all() == 0
    assert Image.objects.get(id=whole).status == Status.ACTIVE


def test_a_dead_upload_is_named_and_released(whole: UUID, alice: Caller) -> None:
    dying = services.create(RAW, caller=alice)
    with store.receiving(dying.id):
        Image.objects.filter(id=dying.id).update(status=Status.SAVING)
        assert found() == {}
        assert fix_all() == 0
    assert str(dying.id) in only("dead_upload").what
    assert fix_all() == 1
    assert Image.objects.get(id=dying.id).status == Status.QUEUED
    assert found() == {}


def test_a_cached_file_of_a_deleted_image_is_removed_once_no_guest_needs_it(
    whole: UUID, alice: Caller, in_use: set[UUID]
) -> None:
    services.delete(whole, caller=alice)
    in_use.add(whole)
    assert found() == {}
    assert fix_all() == 0
    in_use.clear()
    assert "host h1 caches" in only("cached_without_image").what
    assert fix_all() == 1
    assert (found(), cache.cached()) == ({}, ())


def test_nothing_leaves_a_cache_while_nobody_says_what_guests_need(
    whole: UUID, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariants, "_in_use", [])
    services.delete(whole, caller=alice)
    assert (found(), fix_all(), len(cache.cached())) == ({}, 0, 1)


def test_a_half_fetched_file_is_named_and_swept(whole: UUID) -> None:
    stranger = uuid4()
    cache.path(stranger).with_name(f".{stranger}.part").write_bytes(b"half")
    assert str(stranger) in only("unfinished_in_cache").what
    assert fix_all() == 1
    assert found() == {}


def test_the_operators_pages_show_images_and_change_none(whole: UUID, admin_client: Client) -> None:
    listed = admin_client.get("/admin/images/image/?q=raw&status__exact=active")
    assert listed.status_code == 200
    assert f"/admin/images/image/{whole}/" in listed.content.decode()
    page = f"/admin/images/image/{whole}/change/"
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"status": "queued"}).status_code == 403
    assert admin_client.get("/admin/images/image/add/").status_code == 403
    assert admin_client.post(f"/admin/images/image/{whole}/delete/", {"post": "yes"}).status_code == 403
    assert Image.objects.get(id=whole).status == Status.ACTIVE


@pytest.fixture
def admin_client(db: None) -> Client:
    """An operator's browser."""
    bootstrap(admin_password="only for tests", demo_password="only for tests")
    client = Client()
    client.force_login(User.objects.get(name="admin"))
    return client
