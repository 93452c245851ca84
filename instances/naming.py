"""Names that servers get: host names that a guest accepts, reservation ids, the names of a multi-create."""

import re
import secrets
import string
from uuid import UUID

HOSTNAME_MAX_CHARS = 63
_LETTERS = string.ascii_lowercase + string.digits


def hostname(name: str, instance_id: UUID) -> str:
    """Return a host name made of a server's name; one of the id where nothing usable is left of the name."""
    ascii_only = re.sub(r"[\s_.]", "-", name).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^a-zA-Z0-9-]", "", ascii_only).lower().strip("-")
    return kept[:HOSTNAME_MAX_CHARS].strip("-") or f"server-{instance_id}"


def numbered(name: str, index: int, count: int) -> str:
    """Return the name of the index-th (from 0) of count servers made by one request."""
    return name if count == 1 else f"{name}-{index + 1}"


def reservation_id() -> str:
    """Return a new id that the servers of one request share."""
    return "r-" + "".join(secrets.choice(_LETTERS) for _ in range(8))
