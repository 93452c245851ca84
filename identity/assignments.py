"""Reads of role assignments: who has which role where, directly, by a group, or by implication."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db.models import Q, QuerySet

from identity import policy, selectors
from identity.models import GroupMember, Project, Role, RoleAssignment
from identity.services.roles import Holding

_COLUMNS = (
    "user_id",
    "user__name",
    "user__domain_id",
    "user__domain__name",
    "group_id",
    "group__name",
    "group__domain_id",
    "group__domain__name",
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
class Named:
    """A user, group, project or domain with its name; a domain is in no other."""

    id: str
    name: str
    domain_id: str = ""
    domain_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A role that somebody has; in the whole cloud where there is neither project nor domain.

    `given_role_id` is the one that was assigned, which may imply this one. `by_group`: it was given to this group, of
    which the user is a member.
    """

    user: Named | None
    group: Named | None
    role_id: str
    role_name: str
    given_role_id: str
    project: Named | None
    domain: Named | None
    by_group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which assignments are asked for; None: whichever. `in_domain`: of that domain and of its projects alone."""

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    system: bool | None = None
    in_domain: str | None = None
    effective: bool = False
    with_subtree: bool = False


def exists(holding: Holding) -> bool:
    """Tell whether the role was given so."""
    return RoleAssignment.objects.filter(**holding.columns()).exists()


def roles_in(holder: Q, **scope: object) -> list[Role]:
    """Return the roles that a user or group was given in a scope, without implied ones."""
    rows = RoleAssignment.objects.filter(holder, **scope).values("role_id")
    return list(Role.objects.filter(pk__in=rows).order_by("name"))


def listed(wanted: Wanted) -> list[Assignment]:
    """Return the assignments that match.

    `effective` turns those of groups into their members', adds implied roles, and filters users and roles after that.
    """
    rows = _rows(wanted).order_by("pk").values_list(*_COLUMNS)
    given = [_assignment(row) for row in rows]
    if not wanted.effective:
        return given
    return _effective(_of_members(given, wanted.user_id), wanted.role_id)


def _rows(wanted: Wanted) -> QuerySet[RoleAssignment]:
    rows = RoleAssignment.objects.all()
    if wanted.user_id is not None:
        rows = rows.filter(
            selectors.given_to(wanted.user_id) if wanted.effective else Q(user_id=wanted.user_id)
        )
    if wanted.role_id is not None and not wanted.effective:
        rows = rows.filter(role_id=wanted.role_id)
    if wanted.project_id is not None:
        projects = [wanted.project_id]
        rows = rows.filter(project_id__in=_subtree(projects) if wanted.with_subtree else projects)
    if wanted.in_domain is not None:
        rows = rows.filter(Q(domain_id=wanted.in_domain) | Q(project__domain_id=wanted.in_domain))
    others = {"group_id": wanted.group_id, "domain_id": wanted.domain_id, "system": wanted.system}
    return rows.filter(**{key: value for key, value in others.items() if value is not None})


def _subtree(projects: list[str]) -> list[str]:
    """Return these projects with all below them; one query a level."""
    found, level = list(projects), projects
    while level:
        below = Project.objects.filter(parent_id__in=level).exclude(pk__in=found)
        level = list(below.values_list("pk", flat=True))
        found += level
    return found


def _of_members(given: list[Assignment], user_id: str | None) -> list[Assignment]:
    groups = {one.group.id for one in given if one.group}
    rows = GroupMember.objects.filter(group__in=groups).order_by("pk")
    if user_id is not None:
        rows = rows.filter(user_id=user_id)
    members: dict[str, list[Named]] = {}
    columns = ("group_id", "user_id", "user__name", "user__domain_id", "user__domain__name")
    for group_id, member_id, name, domain_id, domain in rows.values_list(*columns) if groups else ():
        user = Named(id=member_id, name=name, domain_id=domain_id, domain_name=domain)
        members.setdefault(group_id, []).append(user)
    found = []
    for one in given:
        if one.group is None:
            found.append(one)
        else:
            group_id = one.group.id
            found += [
                replace(one, user=user, group=None, by_group=group_id) for user in members.get(group_id, ())
            ]
    return found


def _effective(given: Iterable[Assignment], role_id: str | None) -> list[Assignment]:
    ids = dict(Role.objects.values_list("name", "id"))
    further = selectors.implications()
    found: dict[tuple[str, str, str], Assignment] = {}
    for one in given:
        for name in sorted(policy.expand([one.role_name], further)):
            if name in ids and one.user and role_id in (None, ids[name]):
                scope = one.project or one.domain
                key = (one.user.id, scope.id if scope else "", name)
                found.setdefault(key, replace(one, role_id=ids[name], role_name=name))
    return list(found.values())


def _assignment(row: tuple[str, ...]) -> Assignment:
    role_id, role = row[8:10]
    return Assignment(
        user=_named(*row[0:4]),
        group=_named(*row[4:8]),
        role_id=role_id,
        role_name=role,
        given_role_id=role_id,
        project=_named(*row[10:14]),
        domain=_named(*row[14:16]),
    )


def _named(id_: str, name: str, domain_id: str = "", domain_name: str = "") -> Named | None:
    return Named(id=id_, name=name, domain_id=domain_id, domain_name=domain_name) if id_ else None
