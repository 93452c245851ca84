"""Making and removing key pairs. A key pair belongs to a user, not to a project."""

from dataclasses import dataclass

import structlog
from django.db import IntegrityError, transaction

from computecloud.wire.errors import Conflict, NotFound, QuotaExceeded
from instances import keys
from instances.models import KeyPair

log = structlog.get_logger()

MAX_PER_USER = 100


@dataclass(frozen=True, slots=True)
class Made:
    """A new key pair; private_key is None where the user brought the public half."""

    pair: KeyPair
    private_key: str | None


def create(*, user_id: str, name: str, key_type: str = "ssh", public_key: str | None = None) -> Made:
    """Keep a key that the user brings, or make one.

    Raises InvalidInput, Conflict where the name is taken, QuotaExceeded.
    """
    made = None
    if public_key is None:
        made = keys.generate_ssh() if key_type == "ssh" else keys.generate_x509(user_id)
    text = made.public_key if made else str(public_key)
    pair = KeyPair(
        user_id=user_id,
        name=name,
        type=key_type,
        public_key=text,
        fingerprint=made.fingerprint if made else keys.fingerprint(key_type, text),
    )
    try:
        with transaction.atomic():
            pair.save(force_insert=True)
            if KeyPair.objects.filter(user_id=user_id).count() > MAX_PER_USER:
                raise QuotaExceeded("Quota exceeded, too many key pairs.")
    except IntegrityError:
        raise Conflict(f"Key pair '{name}' already exists.") from None
    log.info("keypair.created", user_id=user_id, name=name, generated=made is not None)
    return Made(pair=pair, private_key=made.private_key if made else None)


def delete(*, user_id: str, name: str) -> None:
    """Forget a key pair; servers that were made with it keep their copy. Raises NotFound."""
    removed, _ = KeyPair.objects.filter(user_id=user_id, name=name).delete()
    if not removed:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
    log.info("keypair.deleted", user_id=user_id, name=name)
