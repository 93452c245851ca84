"""The operators' pages of this room open, find and show, and change no state."""

import pytest
from django.test import Client
from django.urls import reverse

from identity.models import Domain, User
from instances.models import Instance, KeyPair


@pytest.fixture
def operator(db):
    Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    user = User.objects.create_superuser("operator", password="a password of an operator")
    client = Client()
    client.force_login(user)
    return client


def test_lists_and_pages_open(operator, server, flavor, alice):
    instance = server("error", fault={"code": 500, "message": "m"}, host="h1")
    pair = KeyPair.objects.create(user_id=alice.user_id, name="k", public_key="x", fingerprint="x")
    for row in (instance, flavor, pair):
        name = row._meta.model_name
        listed = operator.get(reverse(f"admin:instances_{name}_changelist") + "?q=1")
        assert listed.status_code == 200
        assert operator.get(reverse(f"admin:instances_{name}_change", args=[row.pk])).status_code == 200


def test_a_server_leads_to_its_operations(operator, server):
    instance = server()
    page = operator.get(reverse("admin:instances_instance_change", args=[instance.id])).content.decode()
    path = f"{reverse('admin:workers_operation_changelist')}?subject_id={instance.id}"
    archived = f"{reverse('admin:workers_archivedoperation_changelist')}?subject_id={instance.id}"
    assert path in page
    assert archived in page
    assert operator.get(path).status_code == operator.get(archived).status_code == 200


def test_a_server_is_not_written_by_hand(operator, server):
    instance = server("active")
    path = reverse("admin:instances_instance_change", args=[instance.id])
    assert operator.post(path, {"vm_state": "error"}).status_code == 403
    assert (
        operator.post(
            reverse("admin:instances_instance_delete", args=[instance.id]), {"post": "yes"}
        ).status_code
        == 403
    )
    assert Instance.objects.get().vm_state == "active"


def test_a_list_costs_the_same_for_any_number_of_servers(operator, server, django_assert_max_num_queries):
    path = reverse("admin:instances_instance_changelist")
    server()
    with django_assert_max_num_queries(20) as few:
        operator.get(path)
    for _ in range(20):
        server()
    with django_assert_max_num_queries(len(few)):
        operator.get(path)
