"""The operators' pages, asked for every model after a boot, a failure and a delete have left something to show."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from identity.models import User
from identity.services import bootstrap
from tests.faults.world import World, build, raze
from workers.testing import Drive, failure

OURS = ("identity", "workers", "quotas", "scheduling", "networking", "images", "instances")
MODELS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in OURS),
    key=lambda model: model._meta.label,
)
MUST = {"workers.Host", "workers.Operation", "workers.Footprint", "scheduling.Node", "scheduling.Decision"}


@pytest.fixture(scope="module")
def past(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Return a world in which all that happened: made once, and each test begins from it."""
    with django_db_blocker.unblock(), transaction.atomic():
        raze()
        world = build()
        world.active()
        _, operation = world.boot()
        Drive(operation.id, [failure("create.wire.done", retryable=False, times=9)]).run()
        Drive(world.accept("delete", world.active()).id).run()
        bootstrap(admin_password="a long password", demo_password="another long one")
        yield world
        raze()
        transaction.set_rollback(True)


@pytest.fixture
def operator(past: World, db: None) -> Client:
    client = Client()
    client.force_login(User.objects.get(name="admin"), backend="identity.backends.PageBackend")
    return client


def test_what_the_operator_must_see_has_a_page():
    assert MUST | {"instances.Instance"} <= {model._meta.label for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_lists_and_details_are_shown(operator: Client, model):
    path = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    answer = operator.get(reverse(f"{path}_changelist"))
    assert answer.status_code == 200
    row = model._default_manager.first()
    if row is not None:
        assert operator.get(reverse(f"{path}_change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_search_for_nonsense_is_no_error(operator: Client, model):
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert operator.get(path, {"q": "no such thing '\"%"}).status_code == 200


def test_the_list_of_operations_takes_as_many_queries_for_ten_as_for_two(past: World, operator: Client):
    path = reverse("admin:workers_operation_changelist")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            operator.get(path)
        return len(captured)

    for _ in range(2):
        past.boot()
    few = queries()  # why those two wait is in it
    for _ in range(8):
        past.boot()
    assert queries() <= few


def test_a_stranger_is_asked_to_log_in(db: None):
    answer = Client().get(reverse("admin:index"))
    assert answer.status_code == 302
    assert "login" in answer["Location"]
