"""The network of a server whose request names none."""

from uuid import UUID, uuid4

from django.db.models import Exists, OuterRef

from networking import selectors
from networking.errors import NetworkAmbiguous
from networking.models import Network, Subnet
from networking.services.allocation import until_unique
from networking.services.networks import NewNetwork, add_network
from networking.services.subnets import NewSubnet, add_subnet

CIDR = "10.0.0.0/24"


def default_network(project_id: str) -> UUID | None:
    """Return the project's own network if it has one, else the shared one, else None.

    Networks without a subnet do not count. Raises NetworkAmbiguous where there are several.
    """
    usable = selectors.usable_networks(project_id).filter(
        Exists(Subnet.objects.filter(network=OuterRef("pk"))), admin_state_up=True
    )
    found = usable.values_list("id", "project_id")
    own = [network_id for network_id, owner in found if owner == project_id]
    candidates = own or [network_id for network_id, _ in found]
    if len(candidates) > 1:
        raise NetworkAmbiguous
    return candidates[0] if candidates else None


def auto_network(project_id: str) -> UUID:
    """Return what default_network finds, or make a network of the project's own, with 10.0.0.0/24."""
    return default_network(project_id) or _make(project_id)


def _make(project_id: str) -> UUID:
    new = NewNetwork(
        name="auto_allocated_network", description="Made because a server asked for networks: auto"
    )

    def write(attempt: int) -> UUID:
        existing = (
            Network.objects.filter(project_id=project_id, is_auto=True).values_list("id", flat=True).first()
        )
        if existing is not None:
            return existing
        network = add_network(new, network_id=uuid4(), project_id=project_id, is_auto=True)
        subnet = NewSubnet(network_id=network.id, cidr=CIDR, name="auto_allocated_subnet_v4")
        add_subnet(subnet, network=network, attempt=attempt)
        return network.id

    return until_unique(write)
