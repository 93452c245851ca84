"""Who is asking: what a checked token says. Rooms import it as identity.caller.Caller."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user behind a request and the scope of the token; project_id is None for an unscoped or domain token."""

    user_id: str
    user_name: str
    user_domain_id: str = "default"
    project_id: str | None = None
    project_name: str | None = None
    domain_id: str = "default"
    scope_domain_id: str | None = None
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    audit_id: str = ""
    parent_audit_id: str = ""
    methods: tuple[str, ...] = ("password",)
    issued_at: datetime
    expires_at: datetime

    @property
    def is_authenticated(self) -> bool:
        """Return True: Django and DRF ask it of whatever request.user is."""
        return True
