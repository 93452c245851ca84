"""Two hosts of the fake driver in one process: what runs "at" a host reaches that host's nodes and no others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from computecloud.config import CONFIG
from hypervisors import registry
from hypervisors.driver import Driver, DriverError
from scheduling import report
from workers.models import ACTIVE, Host, Operation
from workers.process import PROCESS, Process
from workers.testing import MOST_LINKS, Drive


class TwoHosts:
    """The drivers of two hosts behind one name; a call on a node of the host where nobody works is an error."""

    def __init__(self, *names: str) -> None:
        self.drivers: dict[str, Driver] = {
            name: registry.load(
                "fake",
                registry.Options(
                    state_dir=CONFIG.state,
                    host_name=name,
                    fake_nodes=2,
                    fake_node_vcpus=4,
                    fake_node_disk_gib=64,
                ),
            )
            for name in names
        }
        self.at = names[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.drivers[self.at], name)

    def report(self) -> None:
        """Have each host report its nodes, as its worker would."""
        for name in self.drivers:
            with self.working_at(name):
                host, _ = Host.objects.update_or_create(name=name, defaults={"alive": True, "epoch": 1})
                report.report(host)

    @contextmanager
    def working_at(self, host: str) -> Iterator[None]:
        """Be the worker of this host, a process of its own, for as long as the block runs."""
        before, was_at = vars(PROCESS).copy(), self.at
        vars(PROCESS).update(vars(Process(name=f"{host}:1:1", host=host)))
        self.at = host
        try:
            yield
        finally:
            vars(PROCESS).update(before)
            self.at = was_at

    def drive(self, operation_id: UUID) -> Operation:
        """Run an operation to its end, each link by a worker of the host whose queue it is in."""
        for _ in range(MOST_LINKS):
            operation = Operation.objects.get(id=operation_id)
            if operation.state not in ACTIVE:
                return operation
            with self.working_at(operation.host or self.at):
                Drive(operation_id).step()
        raise AssertionError(f"{operation} does not end")

    def all_guests(self) -> dict[str, list[UUID]]:
        """Return the guests of each host that has any."""
        found = {
            name: [guest.uuid for node in one.nodes() for guest in one.guests(node.name)]
            for name, one in self.drivers.items()
        }
        return {name: guests for name, guests in found.items() if guests}

    def all_folders(self) -> dict[str, list[UUID]]:
        """Return the disk folders of each host that has any."""
        found = {
            name: [folder for node in one.nodes() for folder in one.disk_folders(node.name)]
            for name, one in self.drivers.items()
        }
        return {name: folders for name, folders in found.items() if folders}

    def raze(self) -> None:
        """Remove everything from both."""
        for one in self.drivers.values():
            for node in one.nodes():
                for uuid in {guest.uuid for guest in one.guests(node.name)} | set(
                    one.disk_folders(node.name)
                ):
                    try:
                        one.destroy(node.name, uuid, 2**62)
                        one.remove_disks(node.name, uuid, 2**62)
                    except DriverError as error:
                        raise AssertionError(error.message) from error
            one.close()
