"""Who may do what: roles, and which role implies which."""

from collections.abc import Iterable, Mapping

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Forbidden

ADMIN, MANAGER, MEMBER, READER, SERVICE = "admin", "manager", "member", "reader", "service"
BOOTSTRAP_ROLES = (ADMIN, MANAGER, MEMBER, READER, SERVICE)
IMPLIES = {ADMIN: MANAGER, MANAGER: MEMBER, MEMBER: READER}
DELEGABLE = frozenset({MANAGER, MEMBER, READER})  # what a domain's manager may give


class NotAllowed(Forbidden):
    """The caller's roles do not suffice (403)."""


def expand(roles: Iterable[str], further: Mapping[str, Iterable[str]] | None = None) -> frozenset[str]:
    """Return the roles with all that they imply; `further` is what operators added to IMPLIES."""
    found: set[str] = set()
    left = list(roles)
    while left:
        role = left.pop()
        if role not in found:
            found.add(role)
            left += [IMPLIES[role]] if role in IMPLIES else []
            left += (further or {}).get(role, ())
    return frozenset(found)


def require(caller: Caller, role: str) -> None:
    """Raise NotAllowed unless the caller has the role, itself or implied by another."""
    if role not in caller.roles and role not in expand(caller.roles):
        raise _refusal(role)


def reads_everything(caller: Caller) -> bool:
    """Tell whether the caller may read about every user and project: an admin, or a reader of the system."""
    return caller.is_admin or (caller.is_system and READER in caller.roles)


def reads_domain(caller: Caller, domain_id: str) -> bool:
    """Tell whether the caller may read about the users and projects of a domain: by a token for it, or for all."""
    own = caller.scope_domain_id == domain_id and READER in caller.roles
    return own or reads_everything(caller)


def manages_domain(caller: Caller, domain_id: str) -> bool:
    """Tell whether the caller may write the users, groups and projects of a domain: its manager, or an admin."""
    return caller.is_admin or (caller.scope_domain_id == domain_id and MANAGER in caller.roles)


def readable_domain(caller: Caller, asked: str | None) -> str | None:
    """Return the domain that a list is limited to, None for all; raises NotAllowed for who may not list there."""
    if reads_everything(caller):
        return asked
    own = caller.scope_domain_id
    if own is None or asked not in (None, own) or READER not in caller.roles:
        raise _refusal(ADMIN)
    return own


def require_manager(caller: Caller) -> None:
    """Raise NotAllowed unless the caller may write something in some domain."""
    if not caller.is_admin and (caller.scope_domain_id is None or MANAGER not in caller.roles):
        raise _refusal(ADMIN)


def _refusal(role: str) -> NotAllowed:
    return NotAllowed(f"You are not authorized to perform the requested action: it needs the role '{role}'.")
