"""Who may do what: roles, and which role implies which."""

from collections.abc import Iterable

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Forbidden

ADMIN, MANAGER, MEMBER, READER, SERVICE = "admin", "manager", "member", "reader", "service"
BOOTSTRAP_ROLES = (ADMIN, MANAGER, MEMBER, READER, SERVICE)
IMPLIES = {ADMIN: MANAGER, MANAGER: MEMBER, MEMBER: READER}


class NotAllowed(Forbidden):
    """The caller's roles do not suffice (403)."""


def expand(roles: Iterable[str]) -> frozenset[str]:
    """Return the roles with all that they imply."""
    found = set()
    for role in roles:
        while role and role not in found:
            found.add(role)
            role = IMPLIES.get(role, "")  # noqa: PLW2901
    return frozenset(found)


def require(caller: Caller, role: str) -> None:
    """Raise NotAllowed unless the caller has the role, itself or implied by another."""
    if role not in caller.roles:
        raise NotAllowed(
            f"You are not authorized to perform the requested action: it needs the role '{role}'."
        )
