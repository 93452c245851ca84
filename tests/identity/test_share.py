"""Sharing a thing with projects by guardian's object permissions; flavors are the things here."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from guardian.shortcuts import assign_perm, get_groups_with_perms

from identity import sharing
from identity.models import Project, Role
from identity.services import projects
from instances.models import Flavor, FlavorSharing


@pytest.fixture
def flavors(db: None) -> list[Flavor]:
    """Three flavors that are not public."""
    return [
        Flavor.objects.create(flavorid=name, name=name, ram=1, disk=1, vcpus=1, is_public=False)
        for name in "abc"
    ]


def names(project_id: str | None) -> list[str]:
    """Return the names of the flavors that are shared with a project."""
    found = Flavor.objects.filter(pk__in=sharing.shared_with(project_id, Flavor))
    return [one.name for one in found.order_by("name")]


def test_what_is_shared_is_told_and_taken_back(flavors: list[Flavor]) -> None:
    assert sharing.share(flavors[0], "p") is True
    assert sharing.share(flavors[0], "p") is False
    assert sharing.share(flavors[0], "q") is True
    assert sharing.share(flavors[2], "p") is True
    assert sharing.projects_of(flavors[0]) == ["p", "q"]
    assert [row.project_id for row in sharing.sharings(flavors[2])] == ["p"]
    assert (names("p"), names("q")) == (["a", "c"], ["a"])
    assert sharing.is_shared_with(flavors[0], "q")
    assert sharing.unshare(flavors[0], "q") is True
    assert sharing.unshare(flavors[0], "q") is False
    assert not sharing.is_shared_with(flavors[0], "q")
    assert (names("p"), names("q")) == (["a", "c"], [])


@pytest.mark.parametrize("project_id", [None, "", "other", "project:p"])
def test_nothing_is_shared_with_others(flavors: list[Flavor], project_id: str | None) -> None:
    sharing.share(flavors[0], "p")
    assert names(project_id) == []
    assert not sharing.is_shared_with(flavors[0], project_id)


def test_a_group_of_operators_with_a_project_s_id_for_its_name_shares_nothing(flavors: list[Flavor]) -> None:
    assign_perm("view_flavor", Group.objects.create(name="p"), flavors[0])
    assert names("p") == []


def test_another_permission_is_no_sharing(flavors: list[Flavor]) -> None:
    sharing.share(flavors[1], "p")
    assign_perm("change_flavor", Group.objects.get(), flavors[0])
    assert names("p") == ["b"]
    assert sharing.projects_of(flavors[0]) == []


def test_guardian_s_own_calls_see_and_make_the_same_rows(flavors: list[Flavor]) -> None:
    sharing.share(flavors[0], "p")
    [group] = get_groups_with_perms(flavors[0])
    assign_perm("view_flavor", group, flavors[1])
    assert names("p") == ["a", "b"]
    assert FlavorSharing.objects.count() == 2


def test_a_deleted_thing_and_a_deleted_project_take_their_sharings_along(flavors: list[Flavor]) -> None:
    from identity.models import Domain

    Domain.objects.create(id="default", name="Default")
    project = projects.create({"name": "p"})
    for one in flavors:
        sharing.share(one, project.id)
    flavors[0].delete()
    assert names(project.id) == ["b", "c"]
    projects.delete(Project.objects.get())
    assert (FlavorSharing.objects.count(), Group.objects.count()) == (0, 0)


def test_a_kind_of_thing_without_a_table_is_refused(db: None) -> None:
    with pytest.raises(TypeError, match="no Sharing is declared for Role"):
        sharing.share(Role.objects.create(name="r"), "p")


@pytest.mark.parametrize("count", [10, 1_000])
def test_reads_cost_one_query_however_many_there_are(
    flavors: list[Flavor], django_assert_num_queries: Any, count: int
) -> None:
    for number in range(count):
        sharing.share(flavors[0], f"p{number}")
    with django_assert_num_queries(3):
        assert names("p3") == ["a"]
        assert sharing.is_shared_with(flavors[0], "p3")
        assert len(sharing.projects_of(flavors[0])) == count
