"""Making and removing key pairs. A key pair belongs to a user, not to a project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Count

from computecloud.wire.errors import Conflict, NotFound, QuotaExceeded
from instances import keys
from instances.models import KeyPair
from quotas import tallies

log = structlog.get_logger()

QUOTA = "key_pairs"


@dataclass(frozen=True, slots=True)
class Made:
    """A new key pair; private_key is None where the user brought the public half."""

    pair: KeyPair
    private_key: str | None


def create(
    *,
    user_id: str,
    name: str,
    key_type: str = "ssh",
    public_key: str | None = None,
    project_id: str | None = None,
) -> Made:
    """Keep a key that the user brings, or make one; project_id is of the project whose limit counts.

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
            if not tallies.take(QUOTA, user_id, 1, project_id=project_id or ""):
                raise QuotaExceeded("Quota exceeded, too many key pairs.")
            pair.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"Key pair '{name}' already exists.") from None
    log.info("keypair.created", user_id=user_id, name=name, generated=made is not None)
    return Made(pair=pair, private_key=made.private_key if made else None)


def delete(*, user_id: str, name: str) -> None:
    """Forget a key pair; servers that were made with it keep their copy. Raises NotFound."""
    with transaction.atomic():
        tallies.hold(QUOTA, user_id)
        removed, _ = KeyPair.objects.filter(user_id=user_id, name=name).delete()
        if not removed:
            raise NotFound(f"Keypair {name} not found for user {user_id}")
        tallies.give_back(QUOTA, user_id, removed)
    log.info("keypair.deleted", user_id=user_id, name=name)


def _held(owners: Sequence[str]) -> Mapping[str, int]:
    """Return how many key pairs each of these users has."""
    rows = KeyPair.objects.filter(user_id__in=owners).values_list("user_id")
    return dict(rows.annotate(count=Count("id")).order_by())


tallies.register(QUOTA, _held)
