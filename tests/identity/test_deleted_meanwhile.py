"""A change of something that another request has just deleted finds nothing, and does not break."""

from collections.abc import Callable
from typing import Any

import pytest

from computecloud.wire.errors import Conflict, NotFound
from identity.models import Domain, Project, Role, User
from identity.services import projects, roles, users
from identity.services.bootstrap import Bootstrapped


def _change_user(user: User) -> None:
    users.update(user, {"description": "new"})


def _change_password(user: User) -> None:
    users.set_password(user, "new")


def _change_project(project: Project) -> None:
    projects.update(project, {"description": "new"})


def _change_domain(domain: Domain) -> None:
    projects.update_domain(domain, {"description": "new"})


def _change_role(role: Role) -> None:
    roles.update(role, {"description": "new"})


@pytest.mark.parametrize(
    ("make", "change", "kind"),
    [
        (lambda: users.create({"name": "x"}), _change_user, "user"),
        (lambda: users.create({"name": "x"}), _change_password, "user"),
        (lambda: projects.create({"name": "x"}), _change_project, "project"),
        (lambda: projects.create_domain({"name": "x"}), _change_domain, "domain"),
        (lambda: roles.create({"name": "x"}), _change_role, "role"),
    ],
)
def test_what_was_deleted_meanwhile_can_not_be_changed(
    there: Bootstrapped, make: Callable[[], Any], change: Callable[[Any], None], kind: str
) -> None:
    row = make()
    type(row).objects.filter(pk=row.pk).delete()
    with pytest.raises(NotFound, match=f"Could not find {kind}: {row.pk}"):
        change(row)
    assert not type(row).objects.filter(pk=row.pk).exists()


def test_a_domain_in_which_something_is_just_being_made_is_not_deleted(
    there: Bootstrapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = projects.create_domain({"name": "x", "enabled": False})
    delete = domain.delete

    def make_and_delete() -> Any:
        projects.create({"name": "late", "domain_id": domain.id})
        return delete()

    monkeypatch.setattr(domain, "delete", make_and_delete)
    with pytest.raises(Conflict, match="Try again"):
        projects.delete_domain(domain)
    assert Domain.objects.filter(pk=domain.id).exists()
