"""The first users, projects and roles; run as often as you like."""

from dataclasses import dataclass

from django.db import transaction

from identity.models import DEFAULT_DOMAIN_ID, Domain, Project, Role, RoleAssignment, User
from identity.policy import ADMIN, BOOTSTRAP_ROLES, MEMBER


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The ids of what is there now, and whether anything was made."""

    admin_user_id: str
    admin_project_id: str
    demo_user_id: str
    demo_project_id: str
    changed: bool


def bootstrap(*, admin_password: str, demo_password: str) -> Bootstrapped:
    """Make the default domain, the roles, the projects admin, demo and service, and the users admin and demo.

    What is there stays as it is, passwords too.
    """
    made: list[bool] = []
    with transaction.atomic():
        made.append(Domain.objects.get_or_create(pk=DEFAULT_DOMAIN_ID, defaults={"name": "Default"})[1])
        roles = {name: _role(name, made) for name in BOOTSTRAP_ROLES}
        projects = {name: _project(name, made) for name in ("admin", "demo", "service")}
        admin = _user("admin", admin_password, made, projects["admin"])
        demo = _user("demo", demo_password, made, projects["demo"])
        for user, project, role in (
            (admin, projects["admin"], roles[ADMIN]),
            (admin, projects["demo"], roles[ADMIN]),
            (demo, projects["demo"], roles[MEMBER]),
        ):
            made.append(_assign(user, role, project=project))
        made.append(_assign(admin, roles[ADMIN], project=None))
        made.append(RoleAssignment.objects.get_or_create(user=admin, role=roles[ADMIN], system=True)[1])
    return Bootstrapped(admin.id, projects["admin"].id, demo.id, projects["demo"].id, any(made))


def _role(name: str, made: list[bool]) -> Role:
    role, new = Role.objects.get_or_create(name=name)
    made.append(new)
    return role


def _project(name: str, made: list[bool]) -> Project:
    project, new = Project.objects.get_or_create(
        name=name, domain_id=DEFAULT_DOMAIN_ID, defaults={"parent_id": DEFAULT_DOMAIN_ID}
    )
    made.append(new)
    return project


def _assign(user: User, role: Role, *, project: Project | None) -> bool:
    domain_id = None if project else DEFAULT_DOMAIN_ID
    rows = RoleAssignment.objects
    return rows.get_or_create(user=user, role=role, project=project, domain_id=domain_id)[1]


def _user(name: str, password: str, made: list[bool], project: Project) -> User:
    user = User.objects.filter(name=name, domain_id=DEFAULT_DOMAIN_ID).first()
    made.append(user is None)
    if user is None:
        is_admin = name == "admin"
        user = User(
            name=name,
            domain_id=DEFAULT_DOMAIN_ID,
            default_project_id=project.id,
            is_staff=is_admin,
            is_superuser=is_admin,
        )
        user.set_password(password)
        user.save(force_insert=True)
    return user
