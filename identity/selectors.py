"""Reads: one thing by id for who may see it, lists by filters, and what a token is made of."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from computecloud.wire.caller import Caller
from computecloud.wire.errors import NotFound
from identity.models import Domain, Project, Role, RoleAssignment, User

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
    rows = model._default_manager.filter(**filters).order_by("pk")
    if marker is not None:
        rows = rows.filter(pk__gt=marker)
    return list(rows[:limit])


def visible_user(caller: Caller, user_id: str) -> User:
    """Return a user: anyone for an admin, else only oneself; raises NotFound."""
    if not caller.is_admin and user_id != caller.user_id:
        raise missing(User, user_id)
    return one(User, user_id)


def visible_project(caller: Caller, project_id: str) -> Project:
    """Return a project: any for an admin, else those where the caller has a role; raises NotFound."""
    if caller.is_admin or project_id == caller.project_id:
        return one(Project, project_id)
    found = projects_of(caller.user_id).filter(pk=project_id).first()
    if found is None:
        raise missing(Project, project_id)
    return found


def visible_domain(caller: Caller, domain_id: str) -> Domain:
    """Return a domain: any for an admin, else the caller's own; raises NotFound."""
    if not caller.is_admin and domain_id not in (caller.user_domain_id, caller.domain_id):
        raise missing(Domain, domain_id)
    return one(Domain, domain_id)


def projects_of(user_id: str) -> QuerySet[Project]:
    """Return the enabled projects where the user has a role."""
    rows = Project.objects.filter(roleassignment__user_id=user_id, enabled=True, domain__enabled=True)
    return rows.distinct().order_by("name", "pk")


def domains_of(user_id: str) -> QuerySet[Domain]:
    """Return the enabled domains where the user has a role."""
    return (
        Domain.objects.filter(roleassignment__user_id=user_id, enabled=True).distinct().order_by("name", "pk")
    )


def role_names(*, user_id: str, project_id: str | None = None, domain_id: str | None = None) -> list[str]:
    """Return the names of the roles that a user was given in a project or domain, without implied ones."""
    rows = RoleAssignment.objects.filter(user_id=user_id, project_id=project_id, domain_id=domain_id)
    return list(rows.values_list("role__name", flat=True))


def roles_in(*, user_id: str, project_id: str | None = None, domain_id: str | None = None) -> list[Role]:
    """Return the roles that a user was given in a project or domain, without implied ones."""
    rows = Role.objects.filter(
        assignments__user_id=user_id, assignments__project_id=project_id, assignments__domain_id=domain_id
    )
    return list(rows.order_by("name"))


def roles_named(names: frozenset[str]) -> list[dict[str, str]]:
    """Return id and name of the roles with these names."""
    rows = Role.objects.filter(name__in=names).order_by("name")
    return [{"id": id_, "name": name} for id_, name in rows.values_list("id", "name")]


def domain_names(ids: set[str]) -> dict[str, str]:
    """Return the names of domains by their ids."""
    return dict(Domain.objects.filter(pk__in=ids).values_list("id", "name"))
