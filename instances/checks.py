"""What must be true of servers: the rows, the operations and the guests on this machine's nodes agree."""

from collections.abc import Iterable, Iterator
from functools import partial
from uuid import UUID

from django.db.models import Exists, OuterRef

from computecloud.config import CONFIG
from instances.models import Instance
from instances.states import VmState
from workers import clock, invariants, pulse
from workers.driver import driver
from workers.invariants import Violation
from workers.models import ACTIVE, Finding, Host, Operation, Subject

CHUNK = 500
LAST_EPOCH = 2**62  # above any epoch: the subject is gone, nobody acts on it any more


def _busy_servers_have_operations() -> Iterable[Violation]:
    busy = Instance.objects.filter(deleted=False).exclude(task_state=None)
    active = Operation.objects.filter(subject_id=OuterRef("id"), state__in=ACTIVE)
    for instance in busy.exclude(Exists(active)):
        yield Violation(
            f"server {instance.id} is {instance.task_state} and no operation works on it",
            _freed_by(instance),
        )


def _freed_by(instance: Instance) -> str:
    """Return the command that frees a busy server: only what never ran is deleted. What its guest does wins."""
    if instance.vm_state == VmState.BUILDING:
        return f"openstack server delete {instance.id}"
    state = "error" if instance.vm_state == VmState.ERROR else "active"
    return f"openstack --os-cloud computecloud-admin server set --state {state} {instance.id}"


def _servers_have_subjects() -> Iterable[Violation]:
    for instance in Instance.objects.filter(deleted=False).exclude(id__in=Subject.objects.values("id")):
        yield Violation(
            f"server {instance.id} has no subject, so nothing can be done to it",
            fix=partial(_make_subject, instance.id),
        )


def _make_subject(instance_id: UUID) -> bool:
    """Make a subject anew. Its epoch is the time: no counter, and no subject made so before, has come so far."""
    epoch = int(clock.now() * 1_000)
    return Subject.objects.get_or_create(id=instance_id, defaults={"type": "instance", "epoch": epoch})[1]


def _subjects_have_servers() -> Iterable[Violation]:
    kept = Instance.objects.filter(deleted=False).values("id")
    for subject in Subject.objects.filter(type="instance").exclude(id__in=kept):
        yield Violation(f"{subject} is the subject of no server", fix=subject.delete)


def _guests_have_servers() -> Iterable[Violation]:
    for node in _nodes():
        names = {guest.uuid: guest.name for guest in driver().guests(node)}
        for uuid in sorted(names.keys() - _known(names)):
            yield _of_no_server(
                f"node {node} runs guest {names[uuid]} ({uuid}) of no server",
                node,
                uuid,
                cause="a guest with our mark that was made by hand, or outlived its server: an older backup",
            )


def _folders_have_servers() -> Iterable[Violation]:
    for node in _nodes():
        folders = set(driver().disk_folders(node))
        for uuid in sorted(folders - _known(folders)):
            yield _of_no_server(
                f"node {node} keeps disks of {uuid}, which is no server",
                node,
                uuid,
                cause="disks that outlived their server: an older backup",
            )


def _of_no_server(what: str, node: str, uuid: UUID, *, cause: str) -> Violation:
    """Return the violation; after a restore it may be a tenant's server, made since the backup: it is listed alone."""
    if pulse.age_s(pulse.RESTORED) is None:
        return Violation(what, fix=partial(_remove, node, uuid), cause=cause, subject=str(uuid))
    since = "a backup was restored: it may be of a server made since"
    advice = "save or remove it, then: computecloud restore --settled"
    return Violation(f"{what}; {since}", advice, cause=cause, subject=str(uuid))


def _servers_have_guests() -> Iterable[Violation]:
    settled = Instance.objects.filter(host=CONFIG.host, deleted=False, task_state=None)
    here = {node: {guest.uuid for guest in driver().guests(node)} for node in _nodes()}
    for instance in settled.exclude(vm_state=VmState.ERROR.value):
        if instance.id not in here.get(str(instance.node), set()):
            yield Violation(
                f"server {instance.id} is {instance.vm_state} and node {instance.node} has no such guest",
                f"openstack server delete {instance.id}",
                cause="its guest was removed by hand",
                subject=str(instance.id),
            )


def _nodes() -> list[str]:
    """Return the nodes of this machine's host; none where this machine is no host."""
    if not Host.objects.filter(name=CONFIG.host).exists():
        return []
    return [node.name for node in driver().nodes()]


def _known(uuids: Iterable[UUID]) -> set[UUID]:
    """Return those that are servers."""
    servers = Instance.objects.filter(deleted=False)
    return {
        key for chunk in chunks(uuids) for key in servers.filter(id__in=chunk).values_list("id", flat=True)
    }


def chunks(uuids: Iterable[UUID]) -> Iterator[list[UUID]]:
    """Yield them, sorted, in lists that are short enough for one query."""
    ordered = sorted(uuids)
    for begin in range(0, len(ordered), CHUNK):
        yield ordered[begin : begin + CHUNK]


def _remove(node: str, uuid: UUID) -> None:
    driver().destroy(node, uuid, LAST_EPOCH)
    driver().remove_disks(node, uuid, LAST_EPOCH)
    Finding.objects.create(
        audit="doctor", subject=str(uuid), what=f"removed from {node} what belonged to no server"
    )


invariants.register("busy servers have operations", _busy_servers_have_operations)
invariants.register("servers have subjects", _servers_have_subjects, first=True)
invariants.register("subjects have servers", _subjects_have_servers)
invariants.register("guests belong to servers", _guests_have_servers)
invariants.register("disks belong to servers", _folders_have_servers)
invariants.register("servers have guests", _servers_have_guests)
