"""The audits of servers: what they hold of quota and nodes, each hypervisor's own list of guests, power, images."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

import images.cache
import images.fetching
import networking.invariants
import quotas.services
from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict
from instances import checks, on_host, selectors, transitions
from instances.models import Instance
from instances.states import PowerState, VmState, follows
from quotas.models import COUNTED, Charge
from quotas.services import Demand
from scheduling import claims
from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Allocation, Node
from scheduling.request import PlaceRequest
from workers import audits, clock, invariants
from workers.audits import Audit
from workers.driver import driver
from workers.invariants import Violation

BATCH = 500
HOUR_S = 3_600.0
BY_HAND = "a row that was edited by hand, or comes from an older backup"


class NoRoom(Conflict):
    """What a server holds can not be claimed for it: others have taken it."""


def resources_of(flavor: dict[str, Any]) -> dict[str, int]:
    """Return what a server of this flavor claims of a node, by resource class."""
    disk_gib = flavor["disk"] + flavor.get("ephemeral", 0) + -(-flavor.get("swap", 0) // 1024)
    amounts = {VCPU: flavor["vcpus"], MEMORY_MB: flavor["ram"], DISK_GB: disk_gib}
    return {resource: amount for resource, amount in amounts.items() if amount}


def charges() -> Iterator[Violation]:
    """Yield the idle servers whose charge is missing, or is not what their flavor says."""
    for page in _pages("id", "project_id", "flavor"):
        held = Charge.objects.in_bulk([row["id"] for row in page])
        for server in page:
            flavor, charge = server["flavor"], held.get(server["id"])
            demand = Demand(instances=1, cores=flavor["vcpus"], ram_mib=flavor["ram"])
            if charge is not None and _demand_of(charge) == demand:
                continue
            taken = "nothing" if charge is None else f"{charge.cores} processors and {charge.ram_mib} MiB"
            yield Violation(
                f"server {server['id']} is charged to project {server['project_id']} with {taken}, its flavor has "
                f"{demand.cores} processors and {demand.ram_mib} MiB",
                fix=partial(_charge_again, server["id"], demand),
                cause=BY_HAND,
                subject=str(server["id"]),
            )


def _demand_of(charge: Charge) -> Demand:
    return Demand(**{name: getattr(charge, name) for name in COUNTED})


def claimed() -> Iterator[Violation]:
    """Yield the idle servers on a node whose claim there is missing, or is not what their flavor says."""
    nodes = dict(Node.objects.values_list("name", "id"))
    for page in _pages("id", "node", "vm_state", "flavor"):
        held: dict[UUID, dict[str, dict[str, int]]] = {}
        rows = Allocation.objects.filter(consumer_id__in=[row["id"] for row in page])
        for consumer, node, resource, amount in rows.values_list(
            "consumer_id", "node__name", "resource_class", "amount"
        ):
            held.setdefault(consumer, {}).setdefault(node, {})[resource] = amount
        for server in page:
            node, wanted = server["node"], resources_of(server["flavor"])
            settled = node is None or server["vm_state"] == VmState.ERROR.value
            if settled or held.get(server["id"]) == {node: wanted}:
                continue
            taken = "; ".join(
                f"{name}: {amounts}" for name, amounts in sorted(held.get(server["id"], {}).items())
            )
            what = f"server {server['id']} is on node {node} and holds {taken or 'nothing'}, its flavor has {wanted}"
            if node in nodes:
                fix = partial(_claim_again, server["id"])
                yield Violation(what, fix=fix, cause=BY_HAND, subject=str(server["id"]))
            else:
                mend = f"openstack server delete {server['id']}"
                yield Violation(what, mend, cause="its node is gone", subject=str(server["id"]))


def _pages(*columns: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the servers that no action runs on, some at a time."""
    idle = Instance.objects.filter(deleted=False, task_state=None).order_by("id").values(*columns)
    last: UUID | None = None
    while page := list((idle.filter(id__gt=last) if last else idle)[:BATCH]):
        last = page[-1]["id"]
        yield page


def _idle(instance_id: UUID) -> Instance | None:
    return Instance.objects.filter(id=instance_id, deleted=False, task_state=None).first()


def _charge_again(instance_id: UUID, demand: Demand) -> bool:
    """Charge a server anew; raises QuotaExceeded where its project has no room."""
    with transaction.atomic():
        quotas.services.release(instance_id)
        instance = _idle(instance_id)
        if instance is None:
            transaction.set_rollback(True)
            return False
        quotas.services.charge(instance.project_id, [instance_id], demand)
    return True


def _claim_again(instance_id: UUID) -> bool:
    """Claim anew what a server takes on its node; raises NoRoom where that is not free."""
    with transaction.atomic():
        claims.release(instance_id)
        instance = _idle(instance_id)
        if instance is None:
            transaction.set_rollback(True)
            return False
        node = Node.objects.filter(name=str(instance.node), host__name=str(instance.host)).first()
        request = PlaceRequest(instance_id, instance.project_id, resources_of(instance.flavor))
        if node is None or not claims.claim(request, node.id):
            raise NoRoom(f"Node {instance.node} has no room for what server {instance_id} takes there.")
    return True


def guests(host: str) -> Iterator[Violation]:
    """Yield what differs between a host's own list of guests and disks, and the servers that live there."""
    left = on_host.stale_by_the_ledger(host)
    yield from left_behind(host, left)
    stale = {str(subject_id) for subject_id in left}
    for violation in invariants.of("guests belong to servers", "disks belong to servers"):
        if violation.subject in stale:
            continue
        reaped = CONFIG.unknown_guests == "reap"
        yield (
            violation if reaped else replace(violation, fix=None, mend="computecloud doctor --fix removes it")
        )
    yield from invariants.of("servers have guests")
    yield from (violation for violation in strays(host) if violation.subject not in stale)


def left_behind(host: str, left: Mapping[UUID, int]) -> Iterator[Violation]:
    """Yield what a host that is up keeps of servers that are gone or live elsewhere, and its wiring for no port here.

    A host removes such things as it comes back; these were left after that, as by a delete that had not ended then.
    """
    if left:
        yield from networking.invariants.left_on_host()
    for subject_id, epoch in left.items():
        yield Violation(
            f"host {host} keeps what {on_host.whose(epoch)} left: {subject_id}",
            fix=partial(on_host.remove_stale, host, subject_id),
            cause="the host was down when the server was deleted or given to another, and came back meanwhile",
            subject=str(subject_id),
        )


def strays(host: str) -> Iterator[Violation]:
    """Yield the guests of a host that are copies of servers which live elsewhere."""
    for node in driver().nodes():
        here = [guest.uuid for guest in driver().guests(node.name)]
        for chunk in checks.chunks(here):
            elsewhere = Instance.objects.filter(id__in=chunk, deleted=False, task_state=None).exclude(
                host=host
            )
            for instance_id, lives_on in elsewhere.values_list("id", "host"):
                yield Violation(
                    f"node {node.name} has a copy of server {instance_id}, which lives on host {lives_on}",
                    f"restart the worker of host {host}: it cleans up as it takes its host",
                    cause="the host was cut off while its server was given to another",
                    subject=str(instance_id),
                )


def power(host: str) -> Iterator[Violation]:
    """Yield the idle servers of a host whose guest does something else than they say."""
    idle = Instance.objects.filter(host=host, deleted=False, task_state=None)
    known = {instance.id: instance for instance in idle.only("id", "node", "power_state", "vm_state")}
    for node in {str(instance.node) for instance in known.values()}:
        for guest in driver().guests(node):
            instance, seen = known.get(guest.uuid), guest.power_state
            if instance is None or (instance.node == node and not _differs(instance, seen.value)):
                continue
            said = f"{instance.vm_state} and {PowerState(instance.power_state).name}"
            yield Violation(
                f"server {guest.uuid} was {said}, its guest is {seen.name}",
                fix=partial(transitions.observe, guest.uuid, seen.value, node=node),
                cause="the guest was switched by its user or by hand, and the hypervisor's word of it was lost",
                subject=str(guest.uuid),
            )


def _differs(instance: Instance, seen: int) -> bool:
    return instance.power_state != seen or follows(instance.vm_state, seen) not in (None, instance.vm_state)


def unused_images(host: str) -> Iterator[Violation]:
    """Yield the images in a host's cache that no guest there has needed for longer than the setting says."""
    cache = images.cache.of_host(host)
    images.fetching.sweep(cache.folder)
    needed = selectors.images_on_host(host)
    before = clock.now() - CONFIG.image_cache_unused_h * HOUR_S
    for entry in cache.cached():
        if entry.image_id not in needed and entry.used_at < before:
            yield Violation(
                f"host {host} caches image {entry.image_id} of {entry.size_bytes >> 20} MiB, which no guest here needs",
                fix=partial(_age_out, host, entry.image_id),
                cause=f"no guest here was made of it for {CONFIG.image_cache_unused_h:.0f} h",
                subject=str(entry.image_id),
            )


def _age_out(host: str, image_id: UUID) -> bool:
    """Remove an image that is still not needed; a boot that comes at this moment fetches it again."""
    if image_id in selectors.images_on_host(host):
        return False
    return images.cache.of_host(host).remove(image_id)


def _capacity(_host: str) -> Iterable[Violation]:
    # A server without a subject seems gone to the others, which would take its port and its claim from it.
    return list(invariants.of("servers have subjects")) or invariants.of(
        "inventory counters are the sums of allocations",
        "claims belong to things that exist",
        "quota counters are the sums of charges",
        "charges belong to things that exist",
        "ports are held by instances that exist",
        "servers are charged",
        "servers on a node have claims there",
        "server groups count their places",
        "server groups are charged",
        "tallies count what is there",
    )


invariants.register("servers are charged", charges)
invariants.register("servers on a node have claims there", claimed)
for _audit in (
    Audit("capacity", "inventories, claims, quota counters, charges, ports and servers agree", 60, _capacity),
    Audit("power", "servers show what their guests do", 10, power, on_host=True),
    Audit(
        "guests",
        "each hypervisor's own list of guests and disks agrees with the servers",
        300,
        guests,
        on_host=True,
    ),
    Audit(
        "image cache",
        "images that no guest needs leave each host's cache",
        2_400,
        unused_images,
        on_host=True,
    ),
):
    audits.register(_audit)
