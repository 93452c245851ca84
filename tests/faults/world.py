"""A small cloud on the fake driver, and everything in it that an operation could leave behind."""

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from computecloud.config import CONFIG
from identity.caller import Caller
from images.models import Image
from images.states import Status
from instances.models import Flavor, Instance
from instances.services import creation, servers
from instances.services.requests import ServerRequest
from networking.models import Port, PortAddress
from networking.services import bootstrap
from quotas import services as quotas
from quotas.models import Charge, ProjectUsage, Tally
from scheduling import groups, report
from scheduling.models import Allocation, GroupMember, GroupPlace, Inventory
from workers.driver import driver
from workers.models import ACTIVE, Footprint, Host, Operation, Secret, Subject, SubjectLock
from workers.testing import Drive, die

PROJECT = "p" * 32


def caller(project_id: str = PROJECT) -> Caller:
    now = datetime.now(UTC)
    return Caller(
        user_id="u" * 32,
        user_name="tester",
        project_id=project_id,
        project_name="tests",
        roles=frozenset({"member"}),
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )


@dataclass
class World:
    """The cloud of one test."""

    host: Host
    flavor: Flavor
    image: Image
    network_id: uuid.UUID

    def boot(self, **wishes: Any) -> tuple[Instance, Operation]:
        """Accept a server on the public network; its operation waits to be driven."""
        usual = {"name": "one", "flavor_id": self.flavor.flavorid, "image_id": self.image.id}
        usual["networks"] = [{"uuid": str(self.network_id)}]
        created = creation.create(caller(), ServerRequest(**(usual | wishes)))
        instance = created.instances[0]
        return instance, Operation.objects.get(subject_id=instance.id, kind="create")

    def active(self) -> Instance:
        """Return a server that is ACTIVE."""
        instance, operation = self.boot()
        assert Drive(operation.id).run().state == "succeeded"
        instance.refresh_from_db()
        return instance

    def accept(self, kind: str, instance: Instance) -> Operation:
        """Accept an action on a server; returns its operation."""
        if kind == "delete":
            servers.delete(caller(), instance)
        elif kind in ("reboot", "reboot_hard"):
            servers.reboot(caller(), instance, hard=kind == "reboot_hard")
        else:
            getattr(servers, kind)(caller(), instance)
        return Operation.objects.filter(subject_id=instance.id).order_by("-created_at")[0]


def build(host_name: str = CONFIG.host) -> World:
    die()
    host, _ = Host.objects.update_or_create(name=host_name, defaults={"alive": True, "epoch": 1})
    report.report(host)
    quotas.unlimit(PROJECT)
    flavor = Flavor.objects.create(flavorid="1", name="m1.nano", ram=128, disk=1, vcpus=1)
    image = Image.objects.create(
        name="demo",
        project_id=PROJECT,
        status=Status.ACTIVE,
        visibility="public",
        disk_format="qcow2",
        container_format="bare",
        size_bytes=1_000,
    )
    return World(host, flavor, image, bootstrap())


def raze() -> None:
    """Remove what a test left on the fake nodes, which outlive its database."""
    for node in driver().nodes():
        for guest in driver().guests(node.name):
            driver().destroy(node.name, guest.uuid, 2**62)
        for folder in driver().disk_folders(node.name):
            driver().remove_disks(node.name, folder, 2**62)


def counts() -> Counter[str]:
    """Count everything that a server could leave behind."""
    nodes = [node.name for node in driver().nodes()]
    return Counter(
        guests=sum(len(driver().guests(node)) for node in nodes),
        disks=sum(len(driver().disk_folders(node)) for node in nodes),
        ports=Port.objects.exclude(instance_id=None).count(),
        addresses=PortAddress.objects.exclude(port__instance_id=None).count(),
        allocations=Allocation.objects.count(),
        claimed=sum(Inventory.objects.values_list("used", flat=True)),
        group_places=GroupPlace.objects.count(),
        group_members=GroupMember.objects.count(),
        members_counted=sum(Tally.objects.filter(resource=groups.MEMBERS).values_list("used", flat=True)),
        charges=Charge.objects.filter(server_groups=0).count(),  # a server group's own stays with it
        charged=sum(ProjectUsage.objects.values_list("cores", flat=True)),
        footprints=Footprint.objects.count(),
        subjects=Subject.objects.count(),
        locks=SubjectLock.objects.count(),
        secrets=Secret.objects.count(),
        leases=Operation.objects.exclude(lease_token=None).count(),
        active=Operation.objects.filter(state__in=ACTIVE).count(),
    )
