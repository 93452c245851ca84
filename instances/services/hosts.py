"""Removing a host that will not come back: its row, its nodes and what the rooms keep of it."""

import structlog
from django.db import transaction

from computecloud.wire.errors import Conflict
from instances.models import Instance
from networking.models import HostWiring
from scheduling import report
from workers import hosts
from workers.models import ACTIVE, Host, Operation

log = structlog.get_logger()


def remove(host: Host) -> None:
    """Forget a host that is down; its worker makes it anew where it is started again.

    Raises Conflict, in Nova's words where it has servers or work: nobody would remove what is left of them.
    """
    if Instance.objects.filter(host=host.name, deleted=False).exists():
        raise _hosts_instances()
    if Operation.objects.filter(host=host.name, state__in=ACTIVE).exists():
        raise Conflict(
            "Unable to delete compute service that has in-progress migrations. Complete the migrations or delete "
            "the instances first."
        )
    with transaction.atomic():
        if not report.forget(host):  # a server was placed there at this moment
            raise _hosts_instances()
        hosts.remove(name=host.name)
        HostWiring.objects.filter(host=host.name).delete()
    log.warning("host.removed", host=host.name)


def _hosts_instances() -> Conflict:
    return Conflict(
        "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
    )
