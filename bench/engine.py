"""CPU and SQL of each step of a boot and a delete, in one process: no web server, no broker, no second processor.

Every request and every step runs as a worker would run it, by the ledger alone, on a database of its own with the
settings that production has. What a message costs (publish, read, acknowledge) is not in these figures.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figures import Figures, parser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


class Meter:
    """CPU seconds and SQL statements by what was done."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, list[float]] = defaultdict(list)
        self.wall_s: dict[str, list[float]] = defaultdict(list)
        self.statements: dict[str, int] = {}
        self._counted = 0

    @contextmanager
    def measure(self, what: str) -> Iterator[None]:
        """Add the block's CPU and wall time."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self.cpu_s[what].append(time.thread_time() - cpu)
        self.wall_s[what].append(time.perf_counter() - wall)

    @contextmanager
    def count(self, what: str) -> Iterator[None]:
        """Count the block's SQL statements, BEGIN among them, COMMIT not."""
        from django.db import connection

        def counted(execute: Callable[..., Any], *rest: Any) -> Any:
            self._counted += 1
            return execute(*rest)

        before = self._counted
        with connection.execute_wrapper(counted):
            yield
        self.statements[what] = self._counted - before


def prepare(folder: Path, database_url: str, nodes: int = 1) -> None:
    """Load Django on a new database with one fake host of so many nodes, as an installation's processes would."""
    settings = {
        "STATE_DIR": str(folder),
        "SECRET_KEY": "of a benchmark, and long enough for every signature",
        "DRIVER": "fake",
        "HOST_NAME": "bench",
        "BROKER_URL": "memory://",
        "DATABASE_URL": database_url,
        "LOG_LEVEL": "warning",
        "ADMITTED_PER_PROJECT": "1000000",
        "FAKE_NODES": str(nodes),
    }
    os.environ.update({f"COMPUTECLOUD_{name}": value for name, value in settings.items() if value})
    os.environ["DJANGO_SETTINGS_MODULE"] = "computecloud.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


class World:
    """One project without limits, one flavor, one image, the public network."""

    def __init__(self) -> None:
        import networking.services
        import quotas.services
        from identity.services import bootstrap
        from images.models import Image
        from images.states import Status
        from instances.models import Flavor
        from scheduling import report
        from workers.models import Host
        from workers.process import PROCESS

        self.project_id = bootstrap(
            admin_password="of-a-benchmark", demo_password="of-a-benchmark"
        ).admin_project_id
        quotas.services.unlimit(self.project_id)
        networking.services.bootstrap(project_id=self.project_id)
        host, _ = Host.objects.get_or_create(name="bench", defaults={"alive": True, "epoch": 1})
        report.report(host)
        PROCESS.name, PROCESS.host = "bench:1:1", "bench"
        self.flavor = Flavor.objects.get_or_create(
            flavorid="b", defaults={"name": "b", "ram": 1, "disk": 1, "vcpus": 1}
        )[0]
        self.image = Image.objects.create(
            name="bench",
            project_id=self.project_id,
            status=Status.ACTIVE,
            visibility="public",
            disk_format="qcow2",
            container_format="bare",
            size_bytes=1,
        )
        self.client = self._client()

    def _client(self) -> Any:
        from django.test import Client

        client = Client(raise_request_exception=True)
        auth = {
            "identity": {
                "methods": ["password"],
                "password": {
                    "user": {"name": "admin", "domain": {"name": "Default"}, "password": "of-a-benchmark"}
                },
            },
            "scope": {"project": {"name": "admin", "domain": {"name": "Default"}}},
        }
        answer = client.post("/identity/v3/auth/tokens", {"auth": auth}, content_type="application/json")
        return Client(
            headers={"X-Auth-Token": answer["X-Subject-Token"], "X-OpenStack-Nova-API-Version": "2.90"}
        )

    def post(self, networks: str) -> str:
        """Ask for a server over the API, without a web server; returns its id."""
        body = {
            "name": "bench",
            "flavorRef": self.flavor.flavorid,
            "imageRef": str(self.image.id),
            "networks": networks,
        }
        answer = self.client.post("/compute/v2.1/servers", {"server": body}, content_type="application/json")
        return str(answer.json()["server"]["id"])


def run_operation(server_id: str, kind: str, around: Callable[[str], Any]) -> None:
    """Run every step of a server's operation, one by one."""
    from workers import dispatch, runner, workflow
    from workers.models import ACTIVE, Operation

    steps = workflow.get(kind).steps
    while True:
        operation = Operation.objects.filter(subject_id=server_id, kind=kind, state__in=ACTIVE).first()
        if operation is None:
            return
        for link in dispatch.links_of(operation):
            with around(f"{kind}: {steps[link.cursor].name}"):
                runner.run(operation.id, link.direction, link.cursor)


def boot_and_delete(world: World, networks: str, around: Callable[[str], Any]) -> None:
    """Boot a server and delete it."""
    with around("POST /servers"):
        server_id = world.post(networks)
    run_operation(server_id, "create", around)
    with around("DELETE /servers/{id}"):
        world.client.delete(f"/compute/v2.1/servers/{server_id}")
    run_operation(server_id, "delete", around)


def main() -> None:
    """Measure, and print what was found."""
    options = parser(__doc__ or "")
    options.add_argument("--boots", type=int, default=200, help="boots measured, after 20 that are not")
    options.add_argument("--networks", choices=["none", "auto"], default="none")
    options.add_argument("--nodes", type=int, default=1, help="nodes that each placement chooses from")
    options.add_argument(
        "--database-url", default="", help="postgresql://…; empty: SQLite in a temporary folder"
    )
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="computecloud-bench-"))
    try:
        prepare(folder, given.database_url, given.nodes)
        world, warming, meter = World(), Meter(), Meter()
        for _ in range(20):
            boot_and_delete(world, given.networks, warming.measure)
        for _ in range(given.boots):
            boot_and_delete(world, given.networks, meter.measure)
        boot_and_delete(world, given.networks, meter.count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = Figures(
        f"CPU and SQL of a boot and a delete on one of {given.nodes}, networks {given.networks}, {given.boots} times"
    )
    totals: dict[str, list[float]] = {"boot": [0.0, 0], "delete": [0.0, 0]}
    for what, taken in meter.cpu_s.items():
        median, count = statistics.median(taken), meter.statements[what]
        figures.add(
            what,
            cpu_ms=median * 1e3,
            fastest_ms=min(taken) * 1e3,
            wall_ms=statistics.median(meter.wall_s[what]) * 1e3,
            statements=count,
        )
        total = totals["delete" if "elete" in what or "DELETE" in what else "boot"]
        total[0], total[1] = total[0] + median, total[1] + count
    for name, (cpu_s, statements) in totals.items():
        figures.add(f"{name}, all", cpu_ms=cpu_s * 1e3, statements=int(statements))
    figures.show(given.json)


if __name__ == "__main__":
    main()
