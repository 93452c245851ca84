"""The operators' pages of the engine: what is in the ledger and what is in the archive."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from identity.models import Domain, User
from workers import archive
from workers.models import Operation, State, StepRun, utc_now


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
