"""The operators' pages of the engine: what is in the ledger and what is in the archive."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from identity.models import Domain, User
from workers import archive
from workers.models import Operation, State, StepRun, utc_now
from workers.testing import Drive


@pytest.fixture
def operator():
    Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    client = Client()
    client.force_login(User.objects.create_superuser("operator", password="a password of an operator"))
    return client


def ended() -> Operation:
    at = utc_now() - timedelta(days=30)
    operation = Operation.objects.create(
        kind="toy", state=State.SUCCEEDED, subject_type="toy", subject_id=uuid.uuid4(), finished_at=at
    )
    StepRun.objects.create(
        operation=operation, step="one", attempt=1, started_at=at, finished_at=at, outcome="success"
    )
    return operation


def test_an_archived_operation_is_found_where_it_was(operator):
    operation = ended()
    address = reverse("admin:workers_operation_change", args=[operation.id])
    assert operator.get(address).status_code == 200
    archive.move([operation.id])
    moved = operator.get(address)
    assert moved.status_code == 302
    page = operator.get(moved["Location"])
    assert page.status_code == 200
    assert "one, attempt 1: success" in page.content.decode()


def test_an_operation_that_never_was_is_nowhere(operator):
    address = reverse("admin:workers_operation_change", args=[uuid.uuid4()])
    assert operator.get(address)["Location"] == reverse("admin:index")


@pytest.mark.parametrize("model", ["operation", "archivedoperation"])
def test_lists_cost_the_same_for_any_number(operator, model, django_assert_max_num_queries):
    address = reverse(f"admin:workers_{model}_changelist")
    made = [ended() for _ in range(20)]
    if model == "archivedoperation":
        archive.move([operation.id for operation in made])
    with django_assert_max_num_queries(8):
        assert operator.get(address + "?q=toy").status_code == 200


def test_the_list_says_why_operations_wait_at_the_same_cost_for_any_number(operator, accepted):
    address = reverse("admin:workers_operation_changelist")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page = operator.get(address).content.decode()
        assert "step choose waits for a control worker" in page
        return len(queries)

    accepted()
    once = cost()
    for _ in range(20):
        accepted()
    assert cost() == once


def test_operators_cancel_what_they_choose(operator, accepted):
    running, done = accepted(), ended()
    chosen = {"action": "cancel", "_selected_action": [running.id, done.id], "confirmed": "yes"}
    page = operator.post(reverse("admin:workers_operation_changelist"), chosen, follow=True).content.decode()
    running.refresh_from_db()
    assert running.cancelled_by == "operator operator"
    assert f"Operation {done.id} (toy) has ended" in page
    assert Drive(running.id).run().state == "cancelled"


def test_who_may_only_look_cancels_nothing(accepted):
    Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    looker = User.objects.create_superuser("looker", password="a password of a looker")
    User.objects.filter(pk=looker.pk).update(is_superuser=False)
    looker.user_permissions.add(Permission.objects.get(codename="view_operation"))
    client, running = Client(), accepted()
    client.force_login(User.objects.get(pk=looker.pk))
    chosen = {"action": "cancel", "_selected_action": [running.id]}
    assert client.get(reverse("admin:workers_operation_changelist")).status_code == 200
    client.post(reverse("admin:workers_operation_changelist"), chosen)
    running.refresh_from_db()
    assert running.cancelled_by == ""


BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def test_an_operator_browses_the_operations_api_and_cancels(operator, accepted):
    running = accepted()
    page = operator.get("/operations/", headers=BROWSER)
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    assert str(running.id) in page.content.decode()
    one = operator.get(f"/operations/{running.id}", headers=BROWSER).content.decode()
    assert "step choose waits for a control worker" in one
    assert f'action="/operations/{running.id}/cancel"' in one
    cancelled = operator.post(f"/operations/{running.id}/cancel", headers=BROWSER)
    assert cancelled.status_code == 202, cancelled.content
    running.refresh_from_db()
    assert running.cancelled_by == "user operator"


def test_a_forged_form_cancels_nothing(operator, accepted):
    running, strict = accepted(), Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(f"/operations/{running.id}/cancel", headers=BROWSER).status_code == 403
    running.refresh_from_db()
    assert running.cancelled_by == ""


def test_a_browser_without_an_operator_s_session_sees_nothing(operator, accepted):
    accepted()
    assert Client().get("/operations/", headers=BROWSER).status_code == 401
    User.objects.update(is_superuser=False)
    assert operator.get("/operations/", headers=BROWSER).status_code == 401
