"""Each model's list costs as many queries for a thousand rows as for ten."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from computecloud.pages import roles
from identity import models as identity
from identity.models import Domain, LoginFailure, Project, Revocation, Role, RoleAssignment, SigningKey, User
from images.models import Image
from instances.models import Flavor, Instance, KeyPair
from networking.models import Network, Port, Subnet
from quotas.models import Charge, ProjectUsage, QuotaClass, Tally
from scheduling.models import Allocation, Decision, Node, ServerGroup
from tests.faults.world import World
from tests.pages.conftest import LogIn
from workers import audits
from workers.models import (
    ArchivedOperation,
    AuditRun,
    AuditSchedule,
    Finding,
    Footprint,
    Host,
    Operation,
    Subject,
    utc_now,
)

FEW, MANY = 10, 1_000


def text() -> str:
    return uuid.uuid4().hex


def mac() -> str:
    return ":".join(uuid.uuid4().hex[index : index + 2] for index in range(0, 12, 2))


def copies(model: type[Any], **fresh: Callable[[], Any]) -> Callable[[int], None]:
    """Return what makes copies of a model's first row, with fresh values in these columns."""

    def make(count: int) -> None:
        row = model._default_manager.first()
        kept = {
            field.attname: getattr(row, field.attname)
            for field in model._meta.concrete_fields
            if not (field.primary_key and field.attname not in fresh)
        }
        made = [model(**{**kept, **{name: value() for name, value in fresh.items()}}) for _ in range(count)]
        model._default_manager.bulk_create(made, batch_size=100)

    return make


def operations(count: int) -> None:
    Operation.objects.bulk_create(
        [Operation(kind="stop", subject_type="instance", subject_id=uuid.uuid4()) for _ in range(count)]
    )


def archived(count: int) -> None:
    facts = {"kind": "stop", "state": "failed", "subject_type": "instance", "created_at": utc_now()}
    facts |= {"updated_at": utc_now(), "finished_at": utc_now()}
    made = [ArchivedOperation(id=uuid.uuid4(), subject_id=uuid.uuid4(), **facts) for _ in range(count)]
    ArchivedOperation.objects.bulk_create(made)


def decisions(count: int) -> None:
    ids = {"operation_id": uuid.uuid4(), "consumer_id": uuid.uuid4()}
    Decision.objects.bulk_create([Decision(**ids, considered=1, verdicts=[]) for _ in range(count)])


GROW: dict[type[Any], Callable[[int], None]] = {
    Host: copies(Host, id=uuid.uuid4, name=text),
    Operation: operations,
    ArchivedOperation: archived,
    Footprint: copies(Footprint, name=text),
    Subject: copies(Subject, id=uuid.uuid4),
    AuditRun: lambda count: AuditRun.objects.bulk_create(
        [AuditRun(audit="power", state="done") for _ in range(count)]
    ) and None,
    Finding: lambda count: Finding.objects.bulk_create([Finding(audit="a", what="w") for _ in range(count)]) and None,
    Node: copies(Node, id=uuid.uuid4, name=text, number=lambda: uuid.uuid4().int >> 66),
    Allocation: copies(Allocation, consumer_id=uuid.uuid4),
    Decision: decisions,
    ServerGroup: lambda count: ServerGroup.objects.bulk_create(
        [ServerGroup(project_id="p", user_id="u", name=text(), policy="affinity") for _ in range(count)]
    ) and None,
    Instance: copies(Instance, id=uuid.uuid4, number=lambda: uuid.uuid4().int >> 66),
    Flavor: copies(Flavor, flavorid=text, name=text),
    KeyPair: lambda count: KeyPair.objects.bulk_create(
        [KeyPair(user_id="u", name=text(), public_key="k", fingerprint="f") for _ in range(count)]
    ) and None,
    Image: copies(Image, id=uuid.uuid4),
    Network: copies(Network, id=uuid.uuid4, vni=lambda: uuid.uuid4().int >> 98),
    Subnet: copies(Subnet, id=uuid.uuid4),
    Port: copies(Port, id=uuid.uuid4, mac=mac),
    Charge: copies(Charge, consumer_id=uuid.uuid4),
    ProjectUsage: copies(ProjectUsage, project_id=text),
    Tally: lambda count: Tally.objects.bulk_create(
        [Tally(resource="key_pairs", owner=text()) for _ in range(count)]
    ) and None,
    Domain: copies(Domain, id=text, name=text),
    Project: lambda count: Project.objects.bulk_create(
        [Project(name=text(), domain_id="default") for _ in range(count)]
    ) and None,
    User: lambda count: User.objects.bulk_create([User(name=text()) for _ in range(count)]) and None,
    identity.Group: lambda count: identity.Group.objects.bulk_create(
        [identity.Group(name=text(), domain_id="default") for _ in range(count)]
    ) and None,
    SigningKey: lambda count: SigningKey.objects.bulk_create(
        [SigningKey(id=text(), created_at=utc_now()) for _ in range(count)]
    ) and None,
    Role: lambda count: Role.objects.bulk_create([Role(name=text()) for _ in range(count)]) and None,
    RoleAssignment: lambda count: RoleAssignment.objects.bulk_create(
        [RoleAssignment(user=User.objects.all()[0], role=role, domain_id="default") for role in _roles(count)]
    ) and None,
    Revocation: lambda count: Revocation.objects.bulk_create(
        [Revocation(key=text(), before=1, expires_at=utc_now()) for _ in range(count)]
    ) and None,
    LoginFailure: lambda count: LoginFailure.objects.bulk_create(
        [LoginFailure(key=text(), began_at=utc_now()) for _ in range(count)]
    ) and None,
}  # fmt: skip
FIXED = {AuditSchedule, Group, QuotaClass}  # as many rows as there are audits, groups of operators, and one


def _roles(count: int) -> list[Role]:
    return Role.objects.bulk_create([Role(name=text()) for _ in range(count)])


MODELS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in roles.ROOMS and model not in FIXED),
    key=lambda model: model._meta.label,
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_list_costs_the_same_for_ten_and_for_a_thousand(world: World, log_in: LogIn, model: type[Any]):
    if model not in GROW:
        pytest.fail(f"say in GROW how rows of {model._meta.label} are made")
    world.active()
    client = log_in("superuser")
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        return len(queries)

    GROW[model](FEW)
    few = cost()
    GROW[model](MANY - FEW)
    assert cost() <= few


def test_a_host_s_page_costs_the_same_for_ten_and_for_a_thousand_guests(world: World, log_in: LogIn):
    world.active()
    client = log_in("operator")
    address = reverse("admin:workers_host_change", args=[world.host.pk])

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page = client.get(address)
        assert page.status_code == 200
        return len(queries)

    for model in (Instance, Footprint, Node):
        GROW[model](FEW)
    audits.run("power", host=world.host.name, pause=lambda _s: None)
    few = cost()
    for model in (Instance, Footprint, Node):
        GROW[model](MANY - FEW)
    assert cost() <= few


def test_a_host_s_page_shows_what_is_on_it(world: World, log_in: LogIn):
    instance = world.active()
    audits.run("power", host=world.host.name, pause=lambda _s: None)
    page = log_in("operator").get(reverse("admin:workers_host_change", args=[world.host.pk])).content.decode()
    for said in (
        "Nodes",
        "Guests",
        "Operations",
        "Footprints",
        "Audits",
        str(instance.id),
        str(instance.node),
    ):
        assert said in page
    assert reverse("admin:instances_instance_change", args=[instance.pk]) in page
