"""How many networks, subnets and ports a project may make; ports of instances count with their instances."""

from django.db.models import F, Model

from networking.errors import OverQuota
from networking.models import Network, Port, Subnet, Tenant

LIMITS = {"network": 100, "subnet": 100, "port": 500}  # Neutron's defaults


def admit(project_id: str, resource: str) -> None:
    """Raise OverQuota where the project has its fill; call it first in the transaction that makes the thing.

    The project's own row is written before counting, so that requests at once count one after the other.
    """
    if not Tenant.objects.filter(project_id=project_id).update(made=F("made") + 1):
        Tenant.objects.create(project_id=project_id)
    if used(project_id)[resource] >= LIMITS[resource]:
        raise OverQuota(resource)


def used(project_id: str) -> dict[str, int]:
    """Return how many of each the project has."""
    counted: dict[str, type[Model]] = {"network": Network, "subnet": Subnet}
    counts = {
        name: model._default_manager.filter(project_id=project_id).count() for name, model in counted.items()
    }
    ports = Port.objects.filter(project_id=project_id, made_by_instance=False)
    return {**counts, "port": ports.exclude(device_owner="network:dhcp").count()}
