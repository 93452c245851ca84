"""Reads of role assignments: who has which role where, directly or by implication."""

from dataclasses import dataclass, replace

from identity import policy
from identity.models import Domain, Project, Role, RoleAssignment, User

_COLUMNS = (
    "user_id",
    "user__name",
    "user__domain_id",
    "user__domain__name",
    "role_id",
    "role__name",
    "project_id",
    "project__name",
    "project__domain_id",
    "project__domain__name",
    "domain_id",
    "domain__name",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A role that somebody has; `given_role_id` is the one that was assigned, which may imply this one."""

    user_id: str
    user_name: str
    user_domain: dict[str, str]
    role_id: str
    role_name: str
    given_role_id: str
    project_id: str | None
    domain_id: str | None
    scope_name: str
    project_domain: dict[str, str] | None


def exists(*, user: User, role: Role, project: Project | None = None, domain: Domain | None = None) -> bool:
    """Tell whether the user was given the role there."""
    return RoleAssignment.objects.filter(user=user, role=role, project=project, domain=domain).exists()


def listed(
    *,
    user_id: str | None,
    role_id: str | None,
    project_id: str | None,
    domain_id: str | None,
    effective: bool,
) -> list[Assignment]:
    """Return the assignments that match; `effective` adds implied roles, and filters roles after that."""
    wanted = {"user_id": user_id, "project_id": project_id, "domain_id": domain_id}
    if not effective:
        wanted["role_id"] = role_id
    filters = {key: value for key, value in wanted.items() if value is not None}
    rows = RoleAssignment.objects.filter(**filters).order_by("pk").values_list(*_COLUMNS)
    given = [_assignment(row) for row in rows]
    if not effective:
        return given
    ids = dict(Role.objects.values_list("name", "id"))
    found: dict[tuple[str, str | None, str], Assignment] = {}
    for one in given:
        for name in sorted(policy.expand([one.role_name])):
            if name in ids and role_id in (None, ids[name]):
                key = (one.user_id, one.project_id or one.domain_id, name)
                found.setdefault(key, replace(one, role_id=ids[name], role_name=name))
    return list(found.values())


def _assignment(row: tuple[str, ...]) -> Assignment:
    user_id, user, user_domain_id, user_domain, role_id, role, project_id, project, *rest = row
    project_domain_id, project_domain, domain_id, domain = rest
    return Assignment(
        user_id=user_id,
        user_name=user,
        user_domain={"id": user_domain_id, "name": user_domain},
        role_id=role_id,
        role_name=role,
        given_role_id=role_id,
        project_id=project_id,
        domain_id=domain_id,
        scope_name=project or domain,
        project_domain={"id": project_domain_id, "name": project_domain} if project_id else None,
    )
