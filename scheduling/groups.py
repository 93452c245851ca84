"""Server groups: whose guests are to stay together or apart, and the places that their guests hold on nodes.

A rule is kept where a place is taken, in the transaction of the claim: apart is a unique row (group, node, slot),
together is one conditional update of the group's own row, which counts its places.
"""

import uuid
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Count

import quotas.services
from computecloud.wire.errors import QuotaExceeded
from quotas import tallies
from quotas.services import Demand
from scheduling.models import GroupMember, GroupPlace, Policy, ServerGroup
from scheduling.request import GroupRule
from workers import sql

log = structlog.get_logger()

MEMBERS = "server_group_members"  # the quota of a project's users, each in each group

_STAND_TOGETHER = """
UPDATE scheduling_servergroup SET placed = placed + 1, anchor_id = %(node_id)s
WHERE id = %(group_id)s AND (placed = 0 OR anchor_id = %(node_id)s)
"""
_TAKE = """
INSERT INTO scheduling_groupplace (id, group_id, node_id, slot, consumer_id)
VALUES (%(id)s, %(group_id)s, %(node_id)s, %(slot)s, %(consumer_id)s) ON CONFLICT DO NOTHING
"""
_GIVE_BACK = "DELETE FROM scheduling_groupplace WHERE consumer_id = %(consumer_id)s RETURNING group_id"
_LEAVE = """
DELETE FROM scheduling_groupmember WHERE consumer_id = %(consumer_id)s RETURNING group_id, user_id
"""
_COUNT_DOWN = (
    "UPDATE scheduling_servergroup SET placed = placed - 1 WHERE id = %(group_id)s AND policy = %(policy)s"
)


def create(
    *, project_id: str, user_id: str, name: str, policy: Policy, max_per_node: int | None = None
) -> ServerGroup:
    """Make a group; max_per_node is for anti-affinity, None is one. Raises QuotaExceeded."""
    group = ServerGroup(
        project_id=project_id, user_id=user_id, name=name, policy=policy.value, max_per_node=max_per_node
    )
    with transaction.atomic():
        try:
            quotas.services.charge(project_id, [group.id], Demand(server_groups=1))
        except QuotaExceeded:
            raise QuotaExceeded("Quota exceeded, too many server groups.") from None
        group.save(force_insert=True)
    log.info("server_group.created", group_id=str(group.id), policy=policy.value)
    return group


def delete(group: ServerGroup) -> None:
    """Remove a group; its servers stay where they are.

    Places, charge and members go in the order in which a server that is deleted gives them back: no deadlock.
    """
    group_id = group.id
    with transaction.atomic():
        GroupPlace.objects.filter(group=group).delete()
        quotas.services.release(group_id)
        GroupMember.objects.filter(group=group).delete()
        group.delete()
        tallies.forget(MEMBERS, _owner(group_id, ""))
    log.info("server_group.deleted", group_id=str(group_id))


def join(group_id: UUID, consumers: Sequence[UUID], *, project_id: str, user_id: str) -> None:
    """Have new consumers be members, in the transaction that makes them; raises QuotaExceeded."""
    if not tallies.take(MEMBERS, _owner(group_id, user_id), len(consumers), project_id=project_id):
        raise QuotaExceeded("Quota exceeded, too many servers in group")
    sql.insert([GroupMember(group_id=group_id, consumer_id=one, user_id=user_id) for one in consumers])


def leave(consumer_id: UUID) -> None:
    """Have a consumer that is gone be no member any more; inside a transaction."""
    for group_id, user_id in sql.fetch(_LEAVE, {"consumer_id": consumer_id}):
        tallies.give_back(MEMBERS, _owner(sql.as_uuid(group_id), user_id), 1)


def take(rule: GroupRule, consumer_id: UUID, node_id: UUID) -> bool:
    """Take a place for a consumer on a node; False where the rule does not allow it now. Inside a transaction."""
    place = {"group_id": rule.id, "node_id": node_id, "consumer_id": consumer_id}
    if rule.policy == Policy.AFFINITY and not sql.execute(_STAND_TOGETHER, place):
        return False
    slots: Sequence[int | None] = (None,)
    if rule.policy == Policy.ANTI_AFFINITY:
        taken = set(
            GroupPlace.objects.filter(group_id=rule.id, node_id=node_id).values_list("slot", flat=True)
        )
        slots = [slot for slot in range(rule.max_per_node) if slot not in taken]
    if any(sql.execute(_TAKE, {"id": uuid.uuid4(), "slot": slot, **place}) for slot in slots):
        return True
    if rule.policy == Policy.AFFINITY:
        sql.execute(_COUNT_DOWN, {"group_id": rule.id, "policy": rule.policy})
    return False


def give_back(consumer_id: UUID) -> None:
    """Give back the place that a consumer holds, once however often it is called; inside a transaction."""
    for (group_id,) in sql.fetch(_GIVE_BACK, {"consumer_id": consumer_id}):
        sql.execute(_COUNT_DOWN, {"group_id": group_id, "policy": Policy.AFFINITY.value})


def _owner(group_id: UUID, user_id: str) -> str:
    return f"{group_id.hex} {user_id}"


def _members(owners: Sequence[str]) -> Mapping[str, int]:
    """Return how many members each of these owners, a group and a user, has."""
    groups = {UUID(owner.partition(" ")[0]) for owner in owners}
    rows = GroupMember.objects.filter(group_id__in=groups).values_list("group_id", "user_id")
    return {_owner(group, user): count for group, user, count in rows.annotate(count=Count("id")).order_by()}


tallies.register(MEMBERS, _members)
