"""Reads: one thing by id for who may see it, lists by filters, and what a token is made of."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from computecloud.wire.caller import Caller
from computecloud.wire.errors import NotFound
from identity import policy
from identity.models import (
    ApplicationCredential,
    Domain,
    Group,
    GroupMember,
    ImpliedRole,
    Project,
    Role,
    RoleAssignment,
    User,
)

M = TypeVar("M", bound=Model)


def one(model: type[M], identifier: str) -> M:
    """Return the thing of this id; raises NotFound."""
    found = model._default_manager.filter(pk=identifier).first()
    if found is None:
        raise missing(model, identifier)
    return found


def missing(model: type[Model], identifier: str) -> NotFound:
    """Return the refusal of an id that no thing of this kind has."""
    return NotFound(f"Could not find {model.__name__.lower()}: {identifier[:64]}.")


def listed(model: type[M], filters: Mapping[str, Any], *, marker: str | None, limit: int) -> list[M]:
    """Return at most limit things after marker that match all filters, in the order of their ids."""
    return page(model._default_manager.filter(**filters), marker=marker, limit=limit)


def page(rows: QuerySet[M], *, marker: str | None, limit: int) -> list[M]:
    """Return at most limit of these things after marker, in the order of their ids."""
    if marker is not None:
        rows = rows.filter(pk__gt=marker)
    return list(rows.order_by("pk")[:limit])


def tagged(
    filters: Mapping[str, Any], tags: Mapping[str, set[str]], *, marker: str | None, limit: int
) -> list[Project]:
    """Return at most limit projects after marker whose tags are as Keystone's four words of its queries say."""
    rows = Project.objects.filter(**filters).order_by("pk")
    if marker is not None:
        rows = rows.filter(pk__gt=marker)
    found = []
    for row in rows.iterator():
        has = set(row.tags)
        if (
            has.issuperset(tags.get("tags", ()))
            and ("tags-any" not in tags or has & tags["tags-any"])
            and not ("not-tags" in tags and has >= tags["not-tags"])
            and not has & tags.get("not-tags-any", set())
        ):
            found.append(row)
            if len(found) == limit:
                break
    return found


def visible_user(caller: Caller, user_id: str) -> User:
    """Return a user: oneself, and those of a domain that the caller may read about; raises NotFound."""
    found = User.objects.select_related("domain").filter(pk=user_id).first()
    if found is None:
        raise missing(User, user_id)
    if user_id != caller.user_id and not policy.reads_domain(caller, found.domain.pk):
        raise missing(User, user_id)
    return found


def visible_group(caller: Caller, group_id: str) -> Group:
    """Return a group: those of a domain that the caller may read about, and one's own; raises NotFound."""
    found = one(Group, group_id)
    if not policy.reads_domain(caller, found.domain_id) and not is_member(group_id, caller.user_id):
        raise missing(Group, group_id)
    return found


def visible_project(caller: Caller, project_id: str) -> Project:
    """Return a project: where the caller has a role, and those of a domain that it may read about; raises NotFound."""
    found = one(Project, project_id)
    if (
        project_id != caller.project_id
        and not policy.reads_domain(caller, found.domain_id)
        and not projects_of(caller.user_id).filter(pk=project_id).exists()
    ):
        raise missing(Project, project_id)
    return found


def is_project(project_id: str) -> bool:
    """Tell whether there is a project of this id."""
    return Project.objects.filter(pk=project_id).exists()


def visible_domain(caller: Caller, domain_id: str) -> Domain:
    """Return a domain: the caller's own, or any for who may read everything; raises NotFound."""
    own = (caller.user_domain_id, caller.domain_id, caller.scope_domain_id)
    if not policy.reads_everything(caller) and domain_id not in own:
        raise missing(Domain, domain_id)
    return one(Domain, domain_id)


def writable(caller: Caller, model: type[M], identifier: str) -> M:
    """Return a user, group or project that the caller may change.

    Raises NotAllowed for who may change none, NotFound for what is in another domain than a domain's manager's.
    """
    policy.require_manager(caller)
    found = one(model, identifier)
    if not policy.manages_domain(caller, found.domain_id):  # type: ignore[attr-defined]
        raise missing(model, identifier)
    return found


def has_more_than(roles: Iterable[str], *, user: User | None = None, group: Group | None = None) -> bool:
    """Tell whether a user or group has a role besides these somewhere, or one in the whole cloud."""
    has = given_to(user.id) if user is not None else Q(group=group)
    return RoleAssignment.objects.filter(has).filter(~Q(role__name__in=list(roles)) | Q(system=True)).exists()


def is_member(group_id: str, user_id: str) -> bool:
    """Tell whether the user is in the group."""
    return GroupMember.objects.filter(group_id=group_id, user_id=user_id).exists()


def given_to(user_id: str) -> Q:
    """Return the condition of role assignments that a user has, directly or by a group; two index look-ups."""
    groups = GroupMember.objects.filter(user_id=user_id).values("group_id")
    return Q(user_id=user_id) | Q(group_id__in=groups)


def projects_of(user_id: str) -> QuerySet[Project]:
    """Return the enabled projects where the user has a role."""
    given = RoleAssignment.objects.filter(given_to(user_id), project__isnull=False).values("project_id")
    return Project.objects.filter(pk__in=given, enabled=True, domain__enabled=True).order_by("name", "pk")


def domains_of(user_id: str) -> QuerySet[Domain]:
    """Return the enabled domains where the user has a role."""
    given = RoleAssignment.objects.filter(given_to(user_id), domain__isnull=False).values("domain_id")
    return Domain.objects.filter(pk__in=given, enabled=True).order_by("name", "pk")


def role_names(
    *, user_id: str, project_id: str | None = None, domain_id: str | None = None, system: bool = False
) -> list[str]:
    """Return the names of the roles that a user was given in a scope, itself or by a group, without implied ones."""
    rows = RoleAssignment.objects.filter(
        given_to(user_id), project_id=project_id, domain_id=domain_id, system=system
    )
    return list(rows.values_list("role__name", flat=True).distinct())


def effective_roles(
    *, user_id: str, project_id: str | None = None, domain_id: str | None = None, system: bool = False
) -> frozenset[str]:
    """Return the names of all roles that a user has in a scope, implied ones too; empty where there is none."""
    given = role_names(user_id=user_id, project_id=project_id, domain_id=domain_id, system=system)
    return policy.expand(given, implications()) if given else frozenset()


def implications() -> dict[str, list[str]]:
    """Return which role implies which others, as operators added them to those that policies are written with."""
    found: dict[str, list[str]] = {}
    for prior, implied in ImpliedRole.objects.values_list("prior__name", "implied__name"):
        found.setdefault(prior, []).append(implied)
    return found


def roles_named(names: Iterable[str]) -> list[dict[str, str]]:
    """Return id and name of the roles with these names."""
    rows = Role.objects.filter(name__in=list(names)).order_by("name")
    return [{"id": id_, "name": name} for id_, name in rows.values_list("id", "name")]


def domain_names(ids: set[str]) -> dict[str, str]:
    """Return the names of domains by their ids."""
    return dict(Domain.objects.filter(pk__in=ids).values_list("id", "name"))


def credentials_of(user_id: str) -> QuerySet[ApplicationCredential]:
    """Return a user's application credentials with what is shown of them."""
    rows = ApplicationCredential.objects.filter(user_id=user_id)
    return rows.prefetch_related("roles", "access_rules").order_by("pk")


def credential(user_id: str, credential_id: str) -> ApplicationCredential:
    """Return one of a user's application credentials; raises NotFound."""
    found = credentials_of(user_id).filter(pk=credential_id).first()
    if found is None:
        raise NotFound(f"Could not find Application Credential: {credential_id[:64]}.")
    return found
