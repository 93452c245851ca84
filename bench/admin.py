"""The admin pages with 10,000 servers on 100 hosts behind them: how long each takes to make, in ms; without a cloud.

Rows are written into a database of its own (SQLite, or COMPUTECLOUD_DATABASE_URL), in one process with the pages.
"""

import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import prepare
from figures import Figures, parser


def main() -> None:
    """Write the rows, ask for each page, print medians."""
    options = parser(__doc__ or "")
    options.add_argument("--servers", type=int, default=10_000)
    options.add_argument("--hosts", type=int, default=100)
    options.add_argument("--times", type=int, default=15)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="computecloud-bench-") as folder:
        prepare(Path(folder), os.environ.get("COMPUTECLOUD_DATABASE_URL", ""))
        pages = plant(given.servers, given.hosts)
        figures = Figures(f"{given.servers} servers, {given.hosts} hosts")
        for name, ask in pages.items():
            figures.add(name, **measure(ask, given.times))
        figures.show(given.json)


def measure(ask: Callable[[], int], times: int) -> dict[str, float]:
    """Return the first, the median and the slowest of the others, in ms."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        assert ask() == 200
        taken.append((time.perf_counter() - began) * 1e3)
    return {"first_ms": taken[0], "median_ms": statistics.median(taken[1:]), "slowest_ms": max(taken[1:])}


def plant(servers: int, hosts: int) -> dict[str, Callable[[], int]]:
    """Write the rows, and return what asks for each page."""
    from django.test import Client

    from identity.models import Domain, User

    Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    client, nodes = Client(), plant_nodes(hosts)
    user = User.objects.create_superuser("admin", password=uuid.uuid4().hex)
    client.force_login(user, backend="identity.backends.PageBackend")
    paths = pages(plant_servers(servers, nodes)[0], nodes[7 % hosts].host_id)
    return {name: _ask(client, path) for name, path in paths.items()}


def plant_nodes(count: int) -> list[Any]:
    """Write hosts of one node each, and return the nodes."""
    from scheduling.models import Inventory, Node
    from workers.models import Host

    made = Host.objects.bulk_create([Host(name=f"host-{n:03}", alive=True) for n in range(count)])
    nodes = Node.objects.bulk_create(
        [
            Node(id=uuid.uuid4(), number=n + 1, host=one, name=one.name, hypervisor_version=1)
            for n, one in enumerate(made)
        ]
    )
    for resource, total in (("VCPU", 1_000), ("MEMORY_MB", 1_000_000), ("DISK_GB", 10_000)):
        Inventory.objects.bulk_create(
            [Inventory(node=one, resource_class=resource, total=total) for one in nodes]
        )
    return nodes


def plant_servers(count: int, nodes: list[Any]) -> list[uuid.UUID]:
    """Write servers with all that is kept of each, and return their ids."""
    from instances.models import Flavor, Instance
    from scheduling.models import Allocation
    from workers.models import Footprint, Operation, State, Subject, utc_now

    flavor = Flavor(flavorid="1", name="m1.tiny", vcpus=1, ram=512, disk=1)
    now, each = utc_now(), range(count)
    ids = [uuid.uuid4() for _ in each]
    at = [nodes[n % len(nodes)] for n in each]  # a node is called as its host here
    Instance.objects.bulk_create(
        [
            Instance(
                id=ids[n], number=n + 1, name=f"server-{n}", project_id=f"{n % 50:032}", user_id="u",
                host=at[n].name, node=at[n].name, flavor_id="1", flavor=flavor.embedded(),
                vm_state="active",
            )
            for n in each
        ],
        batch_size=500,
    )  # fmt: skip
    Subject.objects.bulk_create([Subject(id=one, type="instance") for one in ids], batch_size=1_000)
    Operation.objects.bulk_create(
        [
            Operation(
                kind="create", state=State.SUCCEEDED if n % 20 else State.FAILED, subject_type="instance",
                subject_id=ids[n], project_id=f"{n % 50:032}", host=at[n].name, finished_at=now,
                error="" if n % 20 else f"guest {ids[n]} did not start",
            )
            for n in each
        ],
        batch_size=500,
    )  # fmt: skip
    Footprint.objects.bulk_create(
        [
            Footprint(
                subject_id=ids[n], operation_id=ids[n], step="disks", kind="disks", host=at[n].name,
                name=str(ids[n]), state="made",
            )
            for n in each
        ],
        batch_size=500,
    )  # fmt: skip
    Allocation.objects.bulk_create(
        [
            Allocation(
                consumer_id=ids[n],
                node=at[n],
                resource_class="VCPU",
                amount=1,
                project_id="p",
            )
            for n in each
        ],
        batch_size=500,
    )
    return ids


def pages(server_id: uuid.UUID, host_id: Any) -> dict[str, str]:
    """Return the address of each page."""
    return {
        "the first page": "/admin/",
        "servers": "/admin/instances/instance/",
        "servers, a search": "/admin/instances/instance/?q=server-777",
        "servers of a host": "/admin/instances/instance/?host=host-007",
        "a server": f"/admin/instances/instance/{server_id}/change/",
        "hosts": "/admin/workers/host/",
        "a host": f"/admin/workers/host/{host_id}/change/",
        "operations": "/admin/workers/operation/",
        "failed operations": "/admin/workers/operation/?state__exact=failed",
        "footprints": "/admin/workers/footprint/",
        "claims": "/admin/scheduling/allocation/",
        "nodes": "/admin/scheduling/node/",
        "audit runs": "/admin/workers/auditrun/",
    }


def _ask(client: object, path: str) -> Callable[[], int]:
    return lambda: client.get(path).status_code  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
