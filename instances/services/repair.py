"""What operators do to a server that is stuck: what failed is asked for again, its state is set to what they know."""

from datetime import timedelta
from uuid import UUID

from computecloud.wire.errors import NotFound
from identity.caller import Caller
from identity.policy import ADMIN
from instances import transitions
from instances.models import Instance
from instances.services import servers
from instances.states import VmState
from workers.again import CannotAskAgain
from workers.models import Operation, utc_now
from workers.workflow import Context

AGAIN = {
    "start": servers.start,
    "stop": servers.stop,
    "pause": servers.pause,
    "unpause": servers.unpause,
    "suspend": servers.suspend,
    "resume": servers.resume,
    "delete": servers.delete,
}


def ask_again(operation: Operation, by: str) -> None:
    """Begin anew what failed on a server; raises CannotAskAgain for a boot, NotFound, WrongState."""
    instance = Instance.objects.filter(id=operation.subject_id, deleted=False).first()
    if instance is None:
        raise NotFound(f"Server {operation.subject_id} is gone.")
    caller = _operator(by, instance)
    if operation.kind == "reboot":
        servers.reboot(caller, instance, hard=bool(operation.params.get("hard")))
    elif operation.kind in AGAIN:
        AGAIN[operation.kind](caller, instance)
    else:
        raise CannotAskAgain(f"A {operation.kind} is not begun anew: delete the server and make another.")


def give_up(ctx: Context) -> None:
    """Show a server whose operation nobody knows how to end in ERROR, with the reason; it may be deleted."""
    transitions.forsaken(ctx.subject_id, {"code": 500, "message": ctx.error})


def reset_state(*, instance_id: UUID, to: VmState, by: str) -> None:
    """Set a server's state by hand, to active or error; raises WrongState while an operation acts on it, NotFound."""
    instance = Instance.objects.filter(id=instance_id, deleted=False).first()
    if instance is None:
        raise NotFound(f"Server {instance_id} is gone.")
    servers.reset_state(_operator(by, instance), instance, to)


def _operator(by: str, instance: Instance) -> Caller:
    now = utc_now()
    return Caller(
        user_id=by[:64],
        user_name=by,
        project_id=instance.project_id,
        project_name="",
        roles=frozenset({ADMIN}),
        issued_at=now,
        expires_at=now + timedelta(minutes=1),
    )
