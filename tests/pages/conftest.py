"""Users of the operators' pages: a superuser, an operator, an auditor, and somebody without any right."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from computecloud.pages import first, roles
from identity.models import Domain, User
from tests.faults import world as worlds
from tests.faults.world import World

LogIn = Callable[[str], Client]


@pytest.fixture
def log_in(db: None) -> LogIn:
    """Return what logs somebody in who is in this group; `superuser` is in none and may do everything."""
    Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    roles.ensure()

    def as_member(group: str) -> Client:
        user = User(name=group, is_staff=True, is_superuser=group == "superuser")
        user.set_unusable_password()
        user.save()
        user.groups.set(Group.objects.filter(name=group))
        client = Client()
        client.force_login(user, backend="identity.backends.PageBackend")
        return client

    return as_member


@pytest.fixture
def world(db: None) -> Iterator[World]:
    """Return a cloud of one fake host."""
    first._past_hours.clear()
    worlds.raze()
    yield worlds.build()
    worlds.raze()
