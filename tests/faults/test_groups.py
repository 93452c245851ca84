"""A boot in a server group: its place is there once, or not at all, whatever goes wrong."""

import pytest

from scheduling import groups
from scheduling.models import GroupPlace, Policy, ServerGroup
from tests.faults.world import PROJECT, World, counts
from workers.testing import Drive, crash, failure


def a_group(policy: Policy) -> ServerGroup:
    return groups.create(project_id=PROJECT, user_id="u" * 32, name="g", policy=policy)


@pytest.mark.parametrize("policy", [Policy.AFFINITY, Policy.ANTI_AFFINITY, Policy.SOFT_AFFINITY])
@pytest.mark.parametrize(
    "fault",
    [
        *(lambda point=point: crash(f"create.place.{point}") for point in ("taken", "done", "committed")),
        lambda: failure("create.place.done", retryable=True),
        lambda: failure("create.start.done", retryable=False),
        lambda: crash("create.start.done"),
    ],
    ids=["taken", "done", "committed", "fails", "placed again", "later"],
)
def test_a_boot_under_a_fault_holds_one_place_until_it_is_deleted(world: World, policy: Policy, fault):
    group, aimed = a_group(policy), fault()
    instance, operation = world.boot(hints={"group": str(group.id)})
    assert Drive(operation.id, [aimed]).run().state == "succeeded"
    assert aimed.fired == 1
    instance.refresh_from_db()
    assert [place.node.name for place in GroupPlace.objects.all()] == [instance.node]
    group.refresh_from_db()
    assert group.placed == (1 if policy is Policy.AFFINITY else 0)
    assert Drive(world.accept("delete", instance).id).run().state == "succeeded"
    group.refresh_from_db()
    assert group.placed == counts()["group_places"] == counts()["group_members"] == 0


def test_a_boot_that_fails_for_good_holds_no_place_and_stays_a_member(world: World):
    group = a_group(Policy.ANTI_AFFINITY)
    _, operation = world.boot(hints={"group": str(group.id)})
    failing = failure("create.start.taken", retryable=False, times=9)
    assert Drive(operation.id, [failing]).run().state == "failed"
    assert (counts()["group_places"], counts()["group_members"]) == (0, 1)


def test_members_that_have_no_node_of_their_own_left_say_so(world: World):
    group = a_group(Policy.ANTI_AFFINITY)
    ended = []
    for _ in range(5):  # there are four nodes
        instance, operation = world.boot(hints={"group": str(group.id)})
        ended.append(Drive(operation.id).run().state)
    assert ended == ["succeeded"] * 4 + ["failed"]
    instance.refresh_from_db()
    assert "4 with as many of its server group as may be on one" in instance.fault["message"]
