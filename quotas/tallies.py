"""What is counted for an owner that is no project: a user's key pairs, a user's servers in a server group.

The room that keeps such things tells how many each owner has (`register`). A counter is made of that when it is first
asked for, so things that were there before it count; from then on it is changed in the transaction that makes or
removes a thing, by conditional updates.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

from quotas import selectors, services
from quotas.models import UNLIMITED, Tally
from workers import sql

Held = Callable[[Sequence[str]], Mapping[str, int]]
BATCH = 500

_BEGIN = """
INSERT INTO quotas_tally (resource, owner, used) VALUES (%(resource)s, %(owner)s, %(count)s) ON CONFLICT DO NOTHING
"""
_GIVE_BACK = """
UPDATE quotas_tally SET used = used - %(count)s
WHERE resource = %(resource)s AND owner = %(owner)s AND used >= %(count)s
"""
_HOLD = "UPDATE quotas_tally SET used = used WHERE resource = %(resource)s AND owner = %(owner)s"
_held: dict[str, Held] = {}


def register(resource: str, held: Held) -> None:
    """Have held tell how many things of a resource these owners have; who has none may be left out."""
    _held[resource] = held


def take(resource: str, owner: str, count: int, *, project_id: str) -> bool:
    """Count so many new things of an owner, before they are made and in the same transaction.

    False, and nothing counted, where the limit that the project has would be passed.
    """
    values = {"resource": resource, "owner": owner, "count": count, "project_id": project_id}
    if sql.execute(_take(resource), values):
        return True
    services.begin_defaults()
    _begin(resource, owner)
    return sql.execute(_take(resource), values) > 0


def hold(resource: str, owner: str) -> None:
    """Take a counter before its thing is removed: whoever makes one of the same name at this moment has it first."""
    if not sql.execute(_HOLD, {"resource": resource, "owner": owner}):
        _begin(resource, owner)


def give_back(resource: str, owner: str, count: int) -> None:
    """Count so many things less, after they were removed and in the same transaction."""
    values = {"resource": resource, "owner": owner, "count": count}
    if not sql.execute(_GIVE_BACK, values) and not _begin(resource, owner):
        sql.execute(_GIVE_BACK, values)  # another has just begun to count, with these


def forget(resource: str, owners: str) -> None:
    """Forget the counters of the owners whose names begin so: what they were counted in is gone."""
    Tally.objects.filter(resource=resource, owner__startswith=owners).delete()


def wrong() -> Iterator[tuple[Tally, int]]:
    """Yield the counters that differ from the number of things, with that number; one query more each BATCH."""
    for resource, held in _held.items():
        last = 0
        while page := list(Tally.objects.filter(resource=resource, id__gt=last).order_by("id")[:BATCH]):
            last = page[-1].pk
            there = held([tally.owner for tally in page])
            yield from (
                (tally, there.get(tally.owner, 0))
                for tally in page
                if tally.used != there.get(tally.owner, 0)
            )


def count_again(tally: Tally) -> int:
    """Set a counter to the number of things; 0 where it was counted on meanwhile."""
    there = _held[tally.resource]([tally.owner]).get(tally.owner, 0)
    return Tally.objects.filter(pk=tally.pk, used=tally.used).exclude(used=there).update(used=there)


def _begin(resource: str, owner: str) -> bool:
    """Begin to count, from what is there; False where that was begun before."""
    count = _held[resource]([owner]).get(owner, 0)
    return sql.execute(_BEGIN, {"resource": resource, "owner": owner, "count": count}) > 0


@cache
def _take(resource: str) -> str:
    bound = selectors.limit_sql(resource)
    return f"""
UPDATE quotas_tally SET used = used + %(count)s
WHERE resource = %(resource)s AND owner = %(owner)s AND ({bound} = {UNLIMITED} OR used + %(count)s <= {bound})
"""  # noqa: S608
