"""What a proof of identity is about, and what it gives."""

from dataclasses import dataclass

from computecloud.wire.errors import Unauthenticated
from identity.models import ApplicationCredential, User

UNUSABLE = "!"  # Django spends the time of a real check on it
REFUSED = "The request you have made requires authentication."


class LoginRefused(Unauthenticated):
    """Wrong name, password or scope; which of them is not said (401)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A thing by its id, or by its name in a domain that is given by id or name."""

    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""

    def __str__(self) -> str:
        return self.id or f"{self.domain_id or self.domain_name}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Somebody who has proved who they are; `began` is when the user's row was read (seconds since 1970).

    `credential`: the application credential that it was proved by, now or for an earlier token.
    """

    user: User
    methods: tuple[str, ...]
    began: float
    expires_at: float | None = None
    parent_audit_id: str = ""
    credential: ApplicationCredential | None = None


def user_of(who: Who) -> User | None:
    """Return the user with its domain; None where there is none."""
    rows = User.objects.select_related("domain")
    if who.id:
        return rows.filter(pk=who.id).first()
    if who.domain_id:
        return rows.filter(name=who.name, domain_id=who.domain_id).first()
    return rows.filter(name=who.name, domain__name=who.domain_name).first()
