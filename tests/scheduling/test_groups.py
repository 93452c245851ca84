"""Server groups: their rules hold where places are taken, also when two are placed at once."""

import threading
import uuid
from contextlib import suppress

import pytest
from django.db import OperationalError, connection, transaction

import quotas.selectors
import quotas.services
from computecloud.wire.errors import QuotaExceeded
from quotas.models import Tally
from scheduling import claims, groups, place, selectors
from scheduling.models import Allocation, GroupMember, GroupPlace, Inventory, Policy, ServerGroup
from tests.quotas.conftest import together
from tests.scheduling.conftest import facts, request
from workers import invariants
from workers.models import Subject


@pytest.fixture
def group(db):
    def make(policy, **columns):
        columns = {"project_id": "p", "user_id": "u", "name": "g"} | columns
        return groups.create(policy=Policy(policy), **columns)

    return make


def place_one(of, **values):
    """Place a guest of the group; returns its id and node."""
    wanted = request(group_id=of.id, **values)
    ranking = place.rank(wanted)
    with transaction.atomic():
        return wanted.consumer_id, place.claim_best(wanted, ranking, uuid.uuid4()).name


def test_members_of_an_anti_affinity_group_stand_on_nodes_of_their_own(host_with, group):
    host_with("a", facts("one"), facts("two"))
    apart = group("anti-affinity")
    assert {place_one(apart)[1], place_one(apart)[1]} == {"one", "two"}
    ranking = place.rank(request(group_id=apart.id))
    assert ranking.best == []
    assert "2 with as many of its server group as may be on one" in ranking.in_words()


def test_as_many_stand_on_a_node_as_the_rule_allows(host_with, group):
    host_with("a", facts("one"))
    apart = group("anti-affinity", max_per_node=2)
    place_one(apart)
    place_one(apart)
    assert place.rank(request(group_id=apart.id)).best == []


def test_members_of_an_affinity_group_stand_on_one_node_while_any_stands(host_with, group):
    host_with("a", facts("one"), facts("two"))
    together = group("affinity")
    (first, where), (second, there) = place_one(together), place_one(together)
    assert where == there
    ranking = place.rank(request(group_id=together.id))
    assert [verdict["words"] for verdict in ranking.verdicts] == ["away from the others of its server group"]
    assert [node.name for node in ranking.best] == [where]
    for consumer in (first, second, first):
        with transaction.atomic():
            claims.release(consumer)
    assert ServerGroup.objects.get().placed == 0
    assert len(place.rank(request(group_id=together.id)).best) == 2


@pytest.mark.parametrize(("policy", "same"), [("soft-affinity", True), ("soft-anti-affinity", False)])
def test_a_soft_policy_is_a_wish_that_outweighs_free_room(host_with, group, policy, same):
    host_with("a", facts("one"), facts("two"))
    soft = group(policy)
    where = [place_one(soft)[1] for _ in range(2)]
    assert (where[0] == where[1]) is same
    with transaction.atomic():  # a wish and no rule: on the one node that has room it is let go
        Inventory.objects.filter(node__name="one").update(total=0)
    assert place_one(soft)[1] == "two"


def test_a_place_is_given_back_with_the_claim(host_with, group):
    host_with("a", facts("one"))
    apart = group("anti-affinity")
    consumer, _ = place_one(apart)
    with transaction.atomic():
        claims.release(consumer)
    assert GroupPlace.objects.count() == Allocation.objects.count() == 0
    assert place_one(apart)[1] == "one"


def test_a_claim_that_finds_no_place_takes_nothing(host_with, group):
    host_with("a", facts("one"))
    apart = group("anti-affinity")
    late = request(group_id=apart.id)
    ranking = place.rank(late)
    place_one(apart)
    used = set(Inventory.objects.values_list("node", "resource_class", "used"))
    with transaction.atomic(), pytest.raises(place.NoValidHost) as refused:
        place.claim_best(late, ranking, uuid.uuid4())
    assert refused.value.retryable
    assert set(Inventory.objects.values_list("node", "resource_class", "used")) == used
    assert Allocation.objects.filter(consumer_id=late.consumer_id).count() == 0


def test_who_ranked_before_the_first_of_an_affinity_group_stood_does_not_stand_elsewhere(host_with, group):
    host_with("a", facts("one"), facts("two"))
    together = group("affinity")
    late = request(group_id=together.id, node="two")
    ranking = place.rank(late)
    place_one(together, node="one")
    with transaction.atomic(), pytest.raises(place.NoValidHost):
        place.claim_best(late, ranking, uuid.uuid4())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("policy", "placed"), [("anti-affinity", 3), ("affinity", 8)])
def test_of_many_that_are_placed_at_once_the_rule_lets_so_many_stand(host_with, group, policy, placed):
    nodes = [facts(f"n{number}", vcpus=32, memory_mib=65_536, disk_gib=900) for number in range(3)]
    host_with("a", *nodes)
    rule = group(policy)
    stand, barrier = [], threading.Barrier(8, timeout=60)

    def run():
        wanted = request(group_id=rule.id)
        ranking = place.rank(wanted)
        connection.close()  # eight that wait with a connection each are more than the pool has
        barrier.wait()
        while ranking.best:
            with suppress(place.NoValidHost, OperationalError):  # SQLite's lock on a busy machine
                with transaction.atomic():
                    node = place.claim_best(wanted, ranking, uuid.uuid4()).name
                stand.append(node)  # once it is committed
                break
            with suppress(OperationalError):
                ranking = place.rank(wanted)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stand) == placed
    assert len(set(stand)) == (3 if policy == "anti-affinity" else 1)
    assert GroupPlace.objects.count() == placed


def test_a_group_that_is_gone_rules_nobody(host_with, group):
    host_with("a", facts("one"))
    apart = group("anti-affinity")
    gone = apart.id
    place_one(apart)
    groups.delete(apart)
    assert [node.name for node in place.rank(request(group_id=gone)).best] == ["one"]
    assert selectors.group_rule(gone) is None
    assert GroupPlace.objects.count() == 0


def test_a_project_has_ten_groups_and_a_user_ten_members(group):
    made = [group("affinity") for _ in range(10)]
    with pytest.raises(QuotaExceeded, match="too many server groups"):
        group("affinity")
    group("affinity", project_id="q")
    with transaction.atomic():
        groups.join(made[0].id, [uuid.uuid4() for _ in range(10)], project_id="p", user_id="u")
    with pytest.raises(QuotaExceeded, match="too many servers in group"), transaction.atomic():
        groups.join(made[0].id, [uuid.uuid4()], project_id="p", user_id="u")
    assert (ServerGroup.objects.count(), GroupMember.objects.count()) == (11, 10)


def test_the_audit_counts_an_affinity_groups_places_again_without_those_of_what_is_gone(host_with, group):
    host_with("a", facts("one"))
    together = group("affinity")
    (standing, _), (gone, _) = place_one(together), place_one(together)
    Subject.objects.create(id=standing, type="instance")
    ServerGroup.objects.update(placed=7)
    for name in ("claims belong to things that exist", "server groups count their places"):
        for violation in invariants.registered()[name]():
            violation.fix()
    assert ServerGroup.objects.get().placed == 1
    assert not GroupPlace.objects.filter(consumer_id=gone).exists()


def test_ranking_for_a_group_costs_two_queries_more(host_with, group, django_assert_num_queries):
    host_with("a", *(facts(f"n{number}") for number in range(100)))
    apart = group("anti-affinity")
    with django_assert_num_queries(3):
        place.rank(request(group_id=apart.id))


@pytest.mark.django_db(transaction=True)
def test_racing_servers_join_a_group_as_many_as_its_limit_allows(group):
    quotas.services.set_limits("p", server_group_members=3)
    together_with = group("affinity")

    def join():
        with transaction.atomic():
            groups.join(together_with.id, [uuid.uuid4()], project_id="p", user_id="u")

    outcomes = [type(one) for one in together(*[join] * 8)]
    assert (outcomes.count(QuotaExceeded), GroupMember.objects.count()) == (5, 3)
    for consumer in GroupMember.objects.values_list("consumer_id", flat=True):
        with transaction.atomic():
            groups.leave(consumer)
            groups.leave(consumer)
    assert Tally.objects.get().used == 0


@pytest.mark.django_db(transaction=True)
def test_racing_groups_are_as_many_as_the_project_s_limit_allows(group):
    quotas.services.set_limits("p", server_groups=2)
    outcomes = [type(one) for one in together(*[lambda: group("affinity")] * 6)]
    assert (outcomes.count(QuotaExceeded), ServerGroup.objects.count()) == (4, 2)
    assert quotas.selectors.usage("p").server_groups == 2


@pytest.mark.django_db(transaction=True)
def test_a_group_that_is_removed_while_its_members_go_counts_nothing_twice(group):
    joined = group("affinity")
    consumers = [uuid.uuid4() for _ in range(4)]
    with transaction.atomic():
        groups.join(joined.id, consumers, project_id="p", user_id="u")

    def leave(consumer):
        with transaction.atomic():
            groups.leave(consumer)

    outcomes = together(
        lambda: groups.delete(ServerGroup.objects.get()),
        *[lambda one=one: leave(one) for one in consumers],
    )
    assert outcomes == [None] * 5
    assert not GroupMember.objects.exists()
    assert sum(Tally.objects.values_list("used", flat=True)) == 0
    assert quotas.selectors.usage("p").server_groups == 0


def test_a_group_of_before_that_is_not_charged_is_charged_by_the_check(db):
    left = ServerGroup.objects.create(project_id="p", user_id="u", name="g", policy="affinity")
    [violation] = invariants.registered()["server groups are charged"]()
    assert str(left.id) in violation.what
    violation.fix()
    assert quotas.selectors.usage("p").server_groups == 1
    assert list(invariants.registered()["server groups are charged"]()) == []
