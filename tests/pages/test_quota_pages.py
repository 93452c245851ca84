"""Limits in the operators' pages: changed by those who may, and nothing that is counted with them."""

import pytest
from django.urls import reverse

from quotas import selectors, services
from quotas.models import LIMITED, ProjectUsage, QuotaClass
from tests.pages.conftest import LogIn


def form(row: ProjectUsage | QuotaClass, **changes: object) -> dict[str, object]:
    limits = {f"{name}_limit": getattr(row, f"{name}_limit") for name in LIMITED}
    return {column: "" if value is None else value for column, value in (limits | changes).items()}


@pytest.fixture
def row(db: None) -> ProjectUsage:
    services.set_limits("p", instances=3)
    return ProjectUsage.objects.get()


def test_an_operator_sets_a_project_s_limits_and_has_it_follow_the_defaults(row, log_in: LogIn):
    address = reverse("admin:quotas_projectusage_change", args=["p"])
    answer = log_in("operator").post(
        address, form(row, instances_limit="", cores_limit=7, key_pairs_limit=-1)
    )
    assert answer.status_code == 302, answer.content.decode()
    found = selectors.limits("p")
    assert (found["instances"], found["cores"], found["key_pairs"]) == (10, 7, -1)


def test_what_is_charged_while_the_form_is_open_stays_counted(row, log_in: LogIn):
    client, address = log_in("operator"), reverse("admin:quotas_projectusage_change", args=["p"])
    client.get(address)
    opened = form(row, cores_limit=7, instances=0, cores=0)
    ProjectUsage.objects.update(instances=2, cores=2)
    assert client.post(address, opened).status_code == 302
    now = ProjectUsage.objects.get()
    assert (now.instances, now.cores, now.cores_limit, now.instances_limit) == (2, 2, 7, 3)


def test_an_operator_sets_the_defaults(row, log_in: LogIn):
    default = QuotaClass.objects.get()
    address = reverse("admin:quotas_quotaclass_change", args=[default.pk])
    assert log_in("operator").post(address, form(default, cores_limit=99)).status_code == 302
    assert (selectors.limits("p")["cores"], selectors.limits("p")["instances"]) == (99, 3)


@pytest.mark.parametrize("wrong", [-2, "x", 2**70])
def test_a_limit_that_is_none_is_refused(row, log_in: LogIn, wrong: object):
    client = log_in("superuser")
    for address, shown in (
        (reverse("admin:quotas_projectusage_change", args=["p"]), row),
        (reverse("admin:quotas_quotaclass_change", args=["default"]), QuotaClass.objects.get()),
    ):
        assert client.post(address, form(shown, cores_limit=wrong)).status_code == 200
    assert selectors.limits("p")["cores"] == 20


def test_the_defaults_are_not_emptied_and_no_row_of_counters_is_removed(row, log_in: LogIn):
    client = log_in("superuser")
    address = reverse("admin:quotas_quotaclass_change", args=["default"])
    assert client.post(address, form(QuotaClass.objects.get(), cores_limit="")).status_code == 200
    for gone in ("projectusage", "quotaclass"):
        pk = "p" if gone == "projectusage" else "default"
        assert (
            client.post(reverse(f"admin:quotas_{gone}_delete", args=[pk]), {"post": "yes"}).status_code == 403
        )
    assert ProjectUsage.objects.count() == QuotaClass.objects.count() == 1
