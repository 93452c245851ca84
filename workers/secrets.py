"""Secret parameters of operations: encrypted in a table of their own, erased when the operation ends."""

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import orjson
from django.conf import settings

from workers import sql
from workers.models import Secret

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_READ = "SELECT ciphertext FROM workers_secret WHERE operation_id = %(operation_id)s"


def _cipher() -> "Fernet":
    from cryptography.fernet import Fernet  # 7 MiB that most workers never need

    digest = hashlib.sha256(b"operation secrets " + str(settings.SECRET_KEY).encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def keep(operation_id: UUID, secrets: Mapping[str, str]) -> None:
    """Keep these values for the operation's steps."""
    Secret.objects.create(
        operation_id=operation_id, ciphertext=_cipher().encrypt(orjson.dumps(dict(secrets)))
    )


def read(operation_id: UUID) -> dict[str, str]:
    """Return the operation's secret parameters by name; empty where it has none."""
    values: dict[str, str] = {}
    for (ciphertext,) in sql.fetch(_READ, {"operation_id": operation_id}):
        values = orjson.loads(_cipher().decrypt(bytes(ciphertext)))
    return values
