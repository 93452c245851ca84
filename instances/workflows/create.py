"""A boot: find a node, wire the ports, fetch the image, make the disks, start the guest."""

from functools import partial
from typing import Any

from django.db import transaction

import networking.services
from computecloud.config import CONFIG
from hypervisors.driver import Capability, PowerState
from images import transfers
from instances import addresses, guests, hardware, hints, transitions
from instances.states import TaskState
from instances.workflows import deadlines
from networking import wiring
from networking.facts import PlannedNic
from scheduling import claims, place
from scheduling.models import DISK_GB, MEMORY_MB, VCPU
from scheduling.request import PlaceRequest
from workers import ledger, recovery
from workers.driver import driver
from workers.retry import StepFailed
from workers.workflow import CONTROL, Again, Context, HostDies, Step, Trace, Wait, Workflow, register

LOOK_AGAIN_S = 5.0


def _has_nics(params: dict[str, Any]) -> bool:
    return bool(params["nics"])


def rank_nodes(ctx: Context) -> None:
    """Filter and weigh the nodes; raises NoValidHost, whose words say which rule removed how many."""
    request = place_request(ctx)
    ranking = place.rank(request)
    if not ranking.best:
        place.explain_failure(request, ranking, ctx.operation_id)
        raise place.NoValidHost(ranking.in_words(ctx.results.get("failure", "")))
    ctx.scratch = ranking


def claim_node(ctx: Context, result: dict[str, Any]) -> None:
    """Claim the best node and give the server its host."""
    node = place.claim_best(place_request(ctx), ctx.scratch, ctx.operation_id)
    result["node"], result["zone"], ctx.host = node.name, node.zone, node.host
    transitions.advance(
        "create",
        ctx.subject_id,
        TaskState.SPAWNING,
        host=node.host,
        node=node.name,
        availability_zone=node.zone,
    )


def release_node(ctx: Context) -> None:
    """Give the claim back; the server has no host any more, and no place in a node's counts."""
    with transaction.atomic():  # or a worker that dies in between leaves the node's counters wrong
        claims.release(ctx.subject_id)


def wire_ports(ctx: Context) -> dict[str, Any]:
    """Give the server its ports and connect them on this host."""
    planned = [PlannedNic(**nic) for nic in ctx.params["nics"]]
    facts = networking.services.bind(
        ctx.subject_id, ctx.project_id, str(ctx.host), planned, fence=partial(ledger.hold, ctx)
    )
    wiring.connect(facts)
    return {"ports": [guests.port_to_json(port) for port in facts]}


def write_addresses(ctx: Context, result: dict[str, Any]) -> None:
    """Show the ports' addresses in the server; the ports are ACTIVE."""
    networking.services.mark_wired(ctx.subject_id)
    transitions.note(ctx.subject_id, addresses=addresses.of_ports(result["ports"]))


def unwire_ports(ctx: Context) -> None:
    """Disconnect the ports from this host, and delete those that were made for the server."""
    wiring.disconnect(networking.services.facts_of(ctx.subject_id))
    networking.services.unbind(ctx.subject_id)


def fetch_image(ctx: Context) -> Wait | None:
    """Have the image in this host's cache, its kernel and ramdisk too; wait while one is on its way."""
    if Capability.IMAGE_FILES not in driver().capabilities:
        return None
    for image_id in guests.image_ids(ctx.params):
        if progress := transfers.fetch(image_id, partial(recovery.wake, ctx.subject_id)):
            return Wait(LOOK_AGAIN_S, progress, slow=True)
    return None


def make_disks(ctx: Context) -> None:
    """Make the root disk over the cached image, and the config drive."""
    driver().create_disks(node_of(ctx), guests.spec(ctx))


def remove_disks(ctx: Context) -> None:
    """Remove the guest's folder."""
    driver().remove_disks(node_of(ctx), ctx.subject_id, ctx.epoch)


def start_guest(ctx: Context) -> None:
    """Define the guest, run it, and see that it runs."""
    driver().start(node_of(ctx), guests.spec(ctx))
    facts = driver().guest(node_of(ctx), ctx.subject_id)
    if facts is None or facts.power_state is not PowerState.RUNNING:
        state = facts.power_state.name if facts else "gone"
        raise StepFailed(f"the guest was started and is {state} at once", retryable=True)


def destroy_guest(ctx: Context) -> None:
    """Switch the guest off and undefine it."""
    driver().destroy(node_of(ctx), ctx.subject_id, ctx.epoch)


def port_traces(ctx: Context) -> list[Trace]:
    """Name what wire leaves: a connected port for each NIC."""
    return [Trace("port", str(index)) for index in range(len(ctx.params["nics"]))]


def disk_traces(ctx: Context) -> list[Trace]:
    """Name what disks leaves: the guest's folder."""
    return [Trace("disks", str(ctx.subject_id))]


def guest_traces(ctx: Context) -> list[Trace]:
    """Name what start leaves: the guest."""
    return [Trace("guest", ctx.params["guest_name"])]


def write_active(ctx: Context) -> None:
    """The server is ACTIVE."""
    transitions.done("create", ctx.subject_id)


def place_again(ctx: Context) -> Again | None:
    """All is undone: try another node, if there was one and more are allowed."""
    placed = ctx.results.get("place")
    if not placed or ctx.round >= CONFIG.place_attempts or _is_forced(ctx.params):
        return None
    transitions.advance("create", ctx.subject_id, TaskState.SCHEDULING, host=None, node=None)
    excluded = [*ctx.results.get("excluded", []), placed["node"]]
    return Again({"excluded": excluded, "failure": ctx.error})


def leave_host(ctx: Context) -> None:
    """The host is given up on: its ports are let go, for the next one; what it has of the server is no server's now."""
    transitions.note(ctx.subject_id, host=None, node=None)
    networking.services.unbind(ctx.subject_id)


def write_error(ctx: Context) -> None:
    """Leave ERROR with the reason."""
    where: dict[str, Any] = {} if ctx.leftovers else {"host": None, "node": None, "addresses": {}}
    transitions.failed("create", ctx.subject_id, {"code": 500, "message": ctx.error}, **where)


def _is_forced(params: dict[str, Any]) -> bool:
    return bool(params.get("forced_host") or params.get("forced_node"))


def node_of(ctx: Context) -> str:
    """Return the node that place chose."""
    return str(ctx.results["place"]["node"])


def place_request(ctx: Context) -> PlaceRequest:
    """Return what the boot asks of scheduling."""
    flavor, params = ctx.params["flavor"], ctx.params
    disk_gib = flavor["disk_gib"] + flavor["ephemeral_gib"] + -(-flavor["swap_mib"] // 1024)
    required, forbidden = hardware.traits(hardware.Wanted.of_params(params))
    return PlaceRequest(
        consumer_id=ctx.subject_id,
        project_id=ctx.project_id,
        resources={VCPU: flavor["vcpus"], MEMORY_MB: flavor["ram_mib"], DISK_GB: disk_gib},
        zone=params.get("zone") or "",
        host=params.get("forced_host") or "",
        node=params.get("forced_node") or "",
        image_properties=params["image"]["properties"],
        required_traits=required,
        forbidden_traits=forbidden,
        excluded_nodes=frozenset(ctx.results.get("excluded", [])),
        forced=_is_forced(params) and not params.get("filters_apply", True),
        **hints.wishes(params.get("hints") or {}),
    )


BOOT = register(
    Workflow(
        kind="create",
        makes_subject=True,
        host_dies=HostDies.MOVE,
        leave_host=leave_host,
        deadline_s=deadlines.boot_s,
        done=write_active,
        again=place_again,
        undone=write_error,
        steps=(
            Step(
                name="place", do=rank_nodes, record=claim_node, undo=release_node, on=CONTROL, sets_host=True
            ),
            Step(
                name="wire",
                do=wire_ports,
                record=write_addresses,
                undo=unwire_ports,
                leaves=port_traces,
                when=_has_nics,
            ),
            Step(
                name="image",
                do=fetch_image,
                no_undo="the cache keeps bases for the next guest, and ages them out",
            ),
            Step(name="disks", do=make_disks, undo=remove_disks, leaves=disk_traces),
            Step(name="start", do=start_guest, undo=destroy_guest, leaves=guest_traces),
        ),
    )
)
