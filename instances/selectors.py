"""Reads of flavors, key pairs and single servers, each with who may see them; lists are instances.listing's."""

from uuid import UUID

from django.db.models import Q, QuerySet

from computecloud.config import CONFIG
from computecloud.wire.errors import NotFound
from identity import sharing
from identity.caller import Caller
from instances.models import Flavor, Instance, KeyPair
from scheduling.models import Node
from workers.models import Host


class InstanceNotFound(NotFound):
    """There is no such server, or it is another tenant's."""

    def __init__(self, instance_id: object) -> None:
        super().__init__(f"Instance {instance_id} could not be found.")


def as_uuid(text: str) -> UUID | None:
    """Return the uuid that this text is in its 36- or 32-character form, None where it is none."""
    if len(text) not in {32, 36}:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def visible(caller: Caller) -> QuerySet[Instance]:
    """Return the servers of the caller's project, deleted ones too; an admin sees every project's."""
    return (
        Instance.objects.all() if caller.is_admin else Instance.objects.filter(project_id=caller.project_id)
    )


def live(caller: Caller) -> QuerySet[Instance]:
    """Return the servers that the caller sees and that are not deleted."""
    return visible(caller).filter(deleted=False)


def instance(instance_id: str, caller: Caller) -> Instance:
    """Return a live server that the caller sees; raises InstanceNotFound."""
    return _one(instance_id, live(caller))


def instance_or_deleted(instance_id: str, caller: Caller) -> Instance:
    """Return a server that the caller sees even when it is deleted; raises InstanceNotFound."""
    return _one(instance_id, visible(caller))


def _one(instance_id: str, among: QuerySet[Instance]) -> Instance:
    key = as_uuid(instance_id)
    found = among.filter(id=key).first() if key else None
    if found is None:
        raise InstanceNotFound(instance_id)
    return found


def flavors(caller: Caller, *, is_public: bool | None = True) -> QuerySet[Flavor]:
    """Return the flavors that the caller may see.

    An admin picks by is_public (None: all); everybody else sees the public ones and those opened to the project.
    """
    if not caller.is_admin:
        opened = sharing.shared_with(caller.project_id, Flavor)
        return Flavor.objects.filter(Q(is_public=True) | Q(pk__in=opened), disabled=False)
    return Flavor.objects.all() if is_public is None else Flavor.objects.filter(is_public=is_public)


def flavor(flavorid: str) -> Flavor:
    """Return a flavor whoever asks; raises NotFound."""
    for found in Flavor.objects.raw("SELECT * FROM instances_flavor WHERE flavorid = %s", [flavorid]):
        return found
    raise NotFound(f"Flavor {flavorid} could not be found.")


def flavor_for(flavorid: str, caller: Caller) -> Flavor:
    """Return a flavor that the caller may use; raises NotFound. One query where the flavor is public."""
    found = flavor(flavorid)
    if caller.is_admin or (found.is_public and not found.disabled):
        return found
    if found.disabled or not sharing.is_shared_with(found, caller.project_id):
        raise NotFound(f"Flavor {flavorid} could not be found.")
    return found


def keypairs(user_id: str) -> QuerySet[KeyPair]:
    """Return a user's key pairs by name."""
    return KeyPair.objects.filter(user_id=user_id).order_by("name")


def keypair(user_id: str, name: str) -> KeyPair:
    """Return one of a user's key pairs; raises NotFound."""
    found = KeyPair.objects.filter(user_id=user_id, name=name).first()
    if found is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
    return found


def host_statuses() -> dict[str, str]:
    """Return how each host fares, in the words of a server's host_status; one query."""
    return {host.name: _status_of(host) for host in Host.objects.all()}


def _status_of(host: Host) -> str:
    if not host.enabled:
        return "MAINTENANCE"
    if host.forced_down:
        return "DOWN"
    return "UP" if host.alive else "UNKNOWN"


def zones() -> dict[str, bool]:
    """Return every availability zone, and whether a host in it takes servers; one query."""
    found = {CONFIG.zone: False}
    rows = Node.objects.filter(present=True).values_list(
        "zone", "host__enabled", "host__alive", "host__forced_down"
    )
    for zone, enabled, alive, forced_down in rows:
        found[zone] = found.get(zone, False) or (enabled and alive and not forced_down)
    return found


def images_on_host(host: str) -> set[UUID]:
    """Return the images that guests on a host stand on, also of servers that are being deleted."""
    used = Instance.objects.filter(host=host, deleted=False).exclude(image_id=None)
    return {image_id for image_id in used.values_list("image_id", flat=True) if image_id is not None}
