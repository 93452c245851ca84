"""Secret parameters of operations, encrypted in a table of their own, erased when the operation ends; and sealing."""

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from django.conf import settings

from computecloud.config import CONFIG
from workers import sql
from workers.models import Operation, Secret

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

FLAG = "has_secrets"
_READ = "SELECT ciphertext FROM workers_secret WHERE operation_id = %(operation_id)s"


def key() -> str:
    """Return the key that secret parameters are encrypted with: all that a host's worker need know of ours."""
    digest = hashlib.sha256(b"operation secrets " + str(settings.SECRET_KEY).encode()).digest()
    return CONFIG.operation_key or base64.urlsafe_b64encode(digest).decode()


def _cipher() -> "Fernet":
    from cryptography.fernet import Fernet  # 7 MiB that most workers never need

    return Fernet(key())


def sealed(text: str) -> str:
    """Return a text as it may be kept outside of this table: encrypted with the installation's secret key."""
    return _cipher().encrypt(text.encode()).decode()


def opened(kept: str) -> str:
    """Return the text that was sealed; raises ValueError where it was not, or by another installation."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher().decrypt(kept).decode()
    except InvalidToken:
        raise ValueError("this was not sealed here") from None


def has(params: Mapping[str, Any]) -> bool:
    """Tell by an operation's parameters whether it may have secret ones too; where they do not say, it may."""
    return bool(params.get(FLAG, True))


def keep(operation: Operation, secrets: Mapping[str, str]) -> None:
    """Keep these values for the operation's steps; raises ValueError where its parameters say that it has none."""
    if not has(operation.params):
        raise ValueError(f"the parameters of operation {operation.id} say {FLAG}: false")
    Secret.objects.create(operation=operation, ciphertext=_cipher().encrypt(orjson.dumps(dict(secrets))))


def read(operation_id: UUID, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the operation's secret parameters by name; empty where it has none."""
    values: dict[str, str] = {}
    if not has(params):
        return values
    for (ciphertext,) in sql.fetch(_READ, {"operation_id": operation_id}):
        values = orjson.loads(_cipher().decrypt(bytes(ciphertext)))
    return values
