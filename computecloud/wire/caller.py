"""Who is asking: what a checked token says. Rooms import it as identity.caller.Caller."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The application credential that a token came from.

    `restricted`: it may not make or delete others of its kind. `rules`: the requests that it may be used for, each a
    service's type, a method and a path with wildcards; None for all.
    """

    id: str
    name: str
    restricted: bool
    rules: tuple[tuple[str, str, str], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user behind a request and the scope of the token; project_id is None for any other than a project's token.

    `key_id` names the key that the token was signed with.
    """

    user_id: str
    user_name: str
    user_domain_id: str = "default"
    project_id: str | None = None
    project_name: str | None = None
    domain_id: str = "default"
    scope_domain_id: str | None = None
    is_system: bool = False
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    audit_id: str = ""
    parent_audit_id: str = ""
    key_id: str = ""
    credential: Credential | None = None
    methods: tuple[str, ...] = ("password",)
    issued_at: datetime
    expires_at: datetime

    @property
    def is_authenticated(self) -> bool:
        """Return True: Django and DRF ask it of whatever request.user is."""
        return True
