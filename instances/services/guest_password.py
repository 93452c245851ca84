"""The password that a guest has made for itself and posted, encrypted by the guest for who has the server's key.

The guest posts it once; who sees the server reads it, and may clear it, so that the guest can post another.
"""

from uuid import UUID

from computecloud.wire.errors import Conflict, InvalidInput
from instances.models import Instance
from workers import secrets

MAX_BYTES = 1_020  # as much as Nova keeps


def post(instance_id: UUID, said: bytes) -> None:
    """Keep a guest's password; raises InvalidInput, and Conflict where there is one already, or no such guest."""
    try:
        text = said.decode()
    except UnicodeDecodeError:
        raise InvalidInput("The password is not UTF-8.") from None
    if len(said) > MAX_BYTES or not text or "\0" in text:
        raise InvalidInput(f"A password has 1 to {MAX_BYTES} bytes.")
    free = Instance.objects.filter(id=instance_id, deleted=False, guest_password="")
    if not free.update(guest_password=secrets.sealed(text)):
        raise Conflict("A password was posted already.")


def read(instance: Instance) -> str:
    """Return the password as the guest posted it; empty where there is none, or none that can be opened any more."""
    if not instance.guest_password:
        return ""
    try:
        return secrets.opened(instance.guest_password)
    except ValueError:
        return ""


def clear(instance: Instance) -> None:
    """Forget the password."""
    Instance.objects.filter(id=instance.id).update(guest_password="")
