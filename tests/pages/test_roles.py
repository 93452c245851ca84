"""Who may do what: each model's pages, and each act, asked for by an auditor, an operator and a stranger."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from computecloud.pages import roles
from identity.models import User
from identity.services import bootstrap
from tests.faults.world import World
from tests.pages.conftest import LogIn
from workers import audits
from workers.models import AuditRun, Finding, Host
from workers.testing import Drive, failure

PAGES = {
    model._meta.label: pages
    for model, pages in admin.site._registry.items()
    if model._meta.app_label in roles.ROOMS
}
ACTS = [(label, act.name) for label, pages in sorted(PAGES.items()) for act in pages.acts]


@pytest.fixture
def full(world: World) -> World:
    """Return a cloud with a row of nearly every kind."""
    world.active()
    _, operation = world.boot()
    Drive(operation.id, [failure("create.wire.done", retryable=False, times=9)]).run()
    bootstrap(admin_password="a long password", demo_password="another long one")
    audits.schedules()
    Finding.objects.create(
        run=AuditRun.objects.create(audit="power", state="done"), audit="power", subject="s", what="w"
    )
    return world


def address(label: str, page: str, *words: Any) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{page}", args=words)


def test_every_room_has_pages_and_some_have_acts():
    assert {label.split(".")[0] for label in PAGES} == set(roles.ROOMS)
    assert {label for label, _ in ACTS} == {
        "workers.Host", "workers.Operation", "workers.AuditSchedule", "instances.Instance"
    }  # fmt: skip


@pytest.mark.parametrize("who", ["auditor", "operator"])
def test_they_read_every_page(full: World, log_in: LogIn, who: str):
    client = log_in(who)
    assert client.get(reverse("admin:index")).status_code == 200
    for label, pages in PAGES.items():
        assert client.get(address(label, "changelist")).status_code == 200, label
        row = pages.model._default_manager.first()
        if row is not None:
            assert client.get(address(label, "change", row.pk)).status_code == 200, label


def test_an_auditor_changes_nothing(full: World, log_in: LogIn):
    client = log_in("auditor")
    for label, pages in PAGES.items():
        row = pages.model._default_manager.first()
        assert client.post(address(label, "add"), {}).status_code == 403, label
        if row is not None:
            assert client.post(address(label, "change", row.pk), {}).status_code == 403, label
            assert client.post(address(label, "delete", row.pk), {"post": "yes"}).status_code == 403, label
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(("label", "act"), ACTS)
def test_an_auditor_is_offered_no_act_and_refused_each(full: World, log_in: LogIn, label: str, act: str):
    client, row = log_in("auditor"), PAGES[label].model._default_manager.first()
    assert f"/act/{act}/" not in client.get(address(label, "change", row.pk)).content.decode()
    said = {"confirmed": "yes", "reason": "because"}
    assert client.post(address(label, "act", row.pk, act), said).status_code == 403
    many = {"action": act, "_selected_action": [row.pk], **said}
    client.post(address(label, "changelist"), many)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(("label", "act"), ACTS)
def test_an_operator_is_asked_back_before_each_act(full: World, log_in: LogIn, label: str, act: str):
    client, row = log_in("operator"), PAGES[label].model._default_manager.first()
    page = client.get(address(label, "act", row.pk, act))
    assert page.status_code == 200
    assert 'name="confirmed"' in page.content.decode()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "label", ["identity.User", "identity.RoleAssignment", "identity.Project", "identity.Domain"]
)
def test_an_operator_gives_nobody_rights(full: World, log_in: LogIn, label: str):
    client, row = log_in("operator"), PAGES[label].model._default_manager.first()
    assert client.post(address(label, "add"), {}).status_code == 403
    assert client.post(address(label, "change", row.pk), {}).status_code == 403
    assert client.post(address(label, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_nobody_below_a_superuser_reads_a_password_s_hash(full: World, log_in: LogIn):
    user = User.objects.get(name="admin")
    page = log_in("auditor").get(address("identity.User", "change", user.pk)).content.decode()
    assert user.password not in page
    assert user.password.rpartition("$")[2] not in page


def test_a_user_of_the_pages_without_a_group_sees_nothing(full: World, log_in: LogIn):
    client = log_in("nobody")
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    assert "Capacity" not in page.content.decode()
    for label in PAGES:
        assert client.get(address(label, "changelist")).status_code == 403, label


def test_who_is_no_staff_is_asked_to_log_in(full: World):
    client = Client()
    client.force_login(User.objects.get(name="demo"), backend="identity.backends.PageBackend")
    assert "login" in client.get(reverse("admin:index"))["Location"]


def test_the_groups_have_exactly_what_stands_in_the_table(log_in: LogIn):
    group = Group.objects.get(name=roles.AUDITOR)
    group.permissions.clear()
    assert roles.ensure()
    assert not roles.ensure()
    assert {one.codename.split("_")[0] for one in group.permissions.all()} == {"view"}
    acting = Group.objects.get(name=roles.OPERATOR).permissions.exclude(codename__startswith="view_")
    assert len(acting) == len(roles.OPERATOR_CHANGES)


def test_a_forged_form_is_refused(full: World, log_in: LogIn):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = log_in("operator").cookies
    host = Host.objects.get()
    said = {"confirmed": "yes", "reason": "because"}
    assert strict.post(address("workers.Host", "act", host.pk, "disable"), said).status_code == 403
    assert Host.objects.get().enabled
