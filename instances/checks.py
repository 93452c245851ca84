"""What must be true of servers: the rows, the operations and the guests on this machine's nodes agree."""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

import quotas.services
from computecloud.config import CONFIG
from instances.models import Instance
from instances.states import VmState
from quotas.models import Charge
from scheduling.models import Allocation
from workers import invariants, pulse
from workers.driver import driver
from workers.invariants import Violation
from workers.models import ACTIVE, Host, Mend, Operation, Subject

LAST_EPOCH = 2**62  # above any epoch: the subject is gone, nobody acts on it any more


def _busy_servers_have_operations() -> Iterable[Violation]:
    busy = Instance.objects.filter(deleted=False).exclude(task_state=None)
    active = Operation.objects.filter(subject_id=OuterRef("id"), state__in=ACTIVE)
    for instance in busy.exclude(Exists(active)):
        yield Violation(
            f"server {instance.id} is {instance.task_state} and no operation works on it",
            f"openstack server delete {instance.id}",
        )


def _servers_have_subjects() -> Iterable[Violation]:
    for instance in Instance.objects.filter(deleted=False).exclude(id__in=Subject.objects.values("id")):
        yield Violation(
            f"server {instance.id} has no subject, so nothing can be done to it", "restore a backup"
        )


def _subjects_have_servers() -> Iterable[Violation]:
    kept = Instance.objects.filter(deleted=False).values("id")
    for subject in Subject.objects.filter(type="instance").exclude(id__in=kept):
        yield Violation(f"{subject} is the subject of no server", fix=subject.delete)


def _guests_have_servers() -> Iterable[Violation]:
    for node in _nodes():
        for guest in driver().guests(node):
            if not _is_known(guest.uuid):
                what = f"node {node} runs guest {guest.name} ({guest.uuid}) of no server"
                yield _of_no_server(what, node, guest.uuid)


def _folders_have_servers() -> Iterable[Violation]:
    for node in _nodes():
        for uuid in driver().disk_folders(node):
            if not _is_known(uuid):
                yield _of_no_server(f"node {node} keeps disks of {uuid}, which is no server", node, uuid)


def _of_no_server(what: str, node: str, uuid: UUID) -> Violation:
    """Return the violation; after a restore it may be a tenant's server, made since the backup: it is listed alone."""
    if pulse.age_s(pulse.RESTORED) is None:
        return Violation(what, fix=partial(_remove, node, uuid))
    since = "a backup was restored: it may be of a server made since"
    return Violation(f"{what}; {since}", "save or remove it, then: computecloud restore --settled")


def _servers_have_guests() -> Iterable[Violation]:
    settled = Instance.objects.filter(host=CONFIG.host, deleted=False, task_state=None)
    here = {node: {guest.uuid for guest in driver().guests(node)} for node in _nodes()}
    for instance in settled.exclude(vm_state=VmState.ERROR.value):
        if instance.id not in here.get(str(instance.node), set()):
            yield Violation(
                f"server {instance.id} is {instance.vm_state} and node {instance.node} has no such guest",
                f"openstack server delete {instance.id}",
            )


def _servers_are_charged() -> Iterable[Violation]:
    charged = Charge.objects.filter(consumer_id=OuterRef("id"))
    for instance in Instance.objects.filter(deleted=False, task_state=None).exclude(Exists(charged)):
        flavor = instance.flavor
        demand = quotas.services.Demand(instances=1, cores=flavor["vcpus"], ram_mib=flavor["ram"])
        yield Violation(
            f"server {instance.id} is not charged to project {instance.project_id}",
            fix=partial(_charge, instance.project_id, instance.id, demand),
        )


def _servers_have_claims() -> Iterable[Violation]:
    claimed = Allocation.objects.filter(consumer_id=OuterRef("id"), node__name=OuterRef("node"))
    settled = Instance.objects.filter(deleted=False, task_state=None).exclude(node=None)
    for instance in settled.exclude(vm_state=VmState.ERROR.value).exclude(Exists(claimed)):
        yield Violation(
            f"server {instance.id} is on node {instance.node} and has claimed nothing there",
            f"openstack server delete {instance.id}",
        )


def _charge(project_id: str, instance_id: UUID, demand: quotas.services.Demand) -> None:
    with transaction.atomic():
        quotas.services.charge(project_id, [instance_id], demand)


def _nodes() -> list[str]:
    """Return the nodes of this machine's host; none where this machine is no host."""
    if not Host.objects.filter(name=CONFIG.host).exists():
        return []
    return [node.name for node in driver().nodes()]


def _is_known(uuid: UUID) -> bool:
    return Instance.objects.filter(id=uuid, deleted=False).exists()


def _remove(node: str, uuid: UUID) -> None:
    driver().destroy(node, uuid, LAST_EPOCH)
    driver().remove_disks(node, uuid, LAST_EPOCH)
    Mend.objects.create(
        audit="doctor", subject=str(uuid), what=f"removed from {node} what belonged to no server"
    )


invariants.register("busy servers have operations", _busy_servers_have_operations)
invariants.register("servers have subjects", _servers_have_subjects)
invariants.register("subjects have servers", _subjects_have_servers)
invariants.register("guests belong to servers", _guests_have_servers)
invariants.register("disks belong to servers", _folders_have_servers)
invariants.register("servers have guests", _servers_have_guests)
invariants.register("servers are charged", _servers_are_charged)
invariants.register("servers on a node have claims there", _servers_have_claims)
