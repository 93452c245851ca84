"""The only place that writes an instance's states, by compare-and-set against the table in instances.states."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, Q, QuerySet
from django.utils import timezone

from computecloud.wire.errors import Conflict, NotFound
from instances.models import Instance
from instances.states import (
    ACTIONS,
    FIRST_TASK_STATE,
    FIRST_VM_STATE,
    Action,
    PowerState,
    TaskState,
    VmState,
    follows,
)
from workers import hosts
from workers.models import ACTIVE, Operation

# What a workflow may note beside a state; a typing error here must not reach the database.
FACTS = frozenset(
    {
        "host",
        "node",
        "availability_zone",
        "addresses",
        "volumes",
        "security_groups",
        "root_device_name",
        "progress",
    }
    | {
        "power_state",
        "launched_at",
        "terminated_at",
        "config_drive",
        "image_properties",
        "access_ip_v4",
        "access_ip_v6",
    }
)


class WrongState(Conflict):
    """The instance is in a state that does not allow the action; attribute says which of its states, and value what."""

    def __init__(self, action: str, instance_id: UUID, attribute: str, value: str | None) -> None:
        super().__init__(f"Cannot '{action}' instance {instance_id} while it is in {attribute} {value}")
        self.attribute = attribute
        self.value = value


def fresh(**columns: Any) -> Instance:
    """Return an unsaved instance in its first state."""
    return Instance(
        vm_state=FIRST_VM_STATE.value,
        task_state=FIRST_TASK_STATE.value,
        vm_state_before=FIRST_VM_STATE.value,
        **columns,
    )


def allowing(action: str, instance_id: UUID) -> QuerySet[Instance]:
    """Return the instance's row if the table allows the action now; for changes that are made at once."""
    row = ACTIONS[action]
    return _where(instance_id, row.vm_states, row.task_states)


def refusal(action: str, instance_id: UUID) -> WrongState:
    """Return why the table does not allow the action now; raises NotFound where the instance is gone."""
    return _refusal(ACTIONS[action], instance_id)


def begin(action: str, instance_id: UUID) -> None:
    """Set the action's first task state; raises WrongState where the table does not allow it now, NotFound."""
    row = ACTIONS[action]
    changed = _where(instance_id, row.vm_states, row.task_states).update(
        task_state=row.running[0].value,
        vm_state_before=F("vm_state"),
        updated_at=timezone.now(),
    )
    if not changed:
        raise _refusal(row, instance_id)


def advance(action: str, instance_id: UUID, task_state: TaskState, **facts: Any) -> None:
    """Move to another task state of the running action and note facts; raises WrongState where it runs no more."""
    row = ACTIONS[action]
    if task_state not in row.running:
        raise ValueError(f"{action} does not pass through {task_state}")
    changed = _running(row, instance_id).update(
        task_state=task_state.value, updated_at=timezone.now(), **_known(facts)
    )
    if not changed:
        raise _refusal(row, instance_id)


def done(action: str, instance_id: UUID, **facts: Any) -> bool:
    """End the action well and note facts; False where that was done before, raises WrongState where it runs no more."""
    row = ACTIONS[action]
    now = timezone.now()
    columns: dict[str, Any] = {"task_state": None, "updated_at": now, "fault": None, **_known(facts)}
    if row.done is not None:
        columns["vm_state"] = row.done.value
    if row.name == "create":
        columns = {"launched_at": now, "power_state": PowerState.RUNNING.value, "progress": 0, **columns}
    if row.done is VmState.DELETED:
        columns |= {"deleted": True, "deleted_at": now, "power_state": PowerState.NOSTATE.value}
        columns["guest_password"] = ""
        columns = {"terminated_at": now, **columns}
        del columns["fault"]
    if _running(row, instance_id).update(**columns):
        return True
    current = _current(instance_id)
    if current.task_state is None and (row.done is None or current.vm_state == row.done):
        return False
    raise _refusal(row, instance_id)


def failed(action: str, instance_id: UUID, fault: Mapping[str, Any] | None, **facts: Any) -> bool:
    """End the action as the table says of a failure, and note the fault {code, message, details} where one is given.

    Also takes back an end that was written already, so that it can undo the step that called done(). Returns False
    where the instance is idle otherwise; raises WrongState where another action runs (a delete that overtook).
    """
    row = ACTIONS[action]
    now = timezone.now()
    columns: dict[str, Any] = {"task_state": None, "updated_at": now, **_known(facts)}
    columns["vm_state"] = row.failed.value if row.failed else F("vm_state_before")
    if fault is not None:
        columns["fault"] = described(fault, now)
    ran = Q(task_state__in=[state.value for state in row.running])
    if row.done not in {None, VmState.DELETED}:
        ran |= Q(task_state__isnull=True, vm_state=row.done.value)
    if Instance.objects.filter(ran, id=instance_id).update(**columns):
        return True
    if _current(instance_id).task_state is None:
        return False
    raise _refusal(row, instance_id)


def cancelled(action: str, instance_id: UUID) -> None:
    """End the action as if it had never begun, with the fault that was there; one that ended already stays so."""
    restored = {"task_state": None, "vm_state": F("vm_state_before"), "updated_at": timezone.now()}
    _running(ACTIONS[action], instance_id).update(**restored)


def forsaken(instance_id: UUID, fault: Mapping[str, Any]) -> None:
    """Show ERROR and the fault, whatever was being done: only a newer version knows what, and nobody ends it."""
    now = timezone.now()
    columns = {
        "vm_state": VmState.ERROR.value,
        "task_state": None,
        "fault": described(fault, now),
        "updated_at": now,
    }
    Instance.objects.filter(id=instance_id, deleted=False).update(**columns)


def reset(instance_id: UUID, vm_state: VmState) -> None:
    """Set the state by an operator's word, and free an instance that shows an action which no operation stands behind.

    Raises WrongState while an operation works on it, NotFound.
    """
    said = {"vm_state": vm_state.value, "updated_at": timezone.now()}
    if allowing("reset_state", instance_id).update(**said):
        return
    seen = _current(instance_id).task_state
    at_work = Operation.objects.filter(subject_id=instance_id, state__in=ACTIVE)
    stuck = Instance.objects.filter(~Exists(at_work), id=instance_id, deleted=False, task_state=seen)
    if seen is None or not stuck.update(task_state=None, vm_state_before=vm_state.value, **said):
        raise refusal("reset_state", instance_id)


def note(instance_id: UUID, **facts: Any) -> None:
    """Write facts that are no state; raises NotFound where there is no such instance."""
    if not Instance.objects.filter(id=instance_id).update(updated_at=timezone.now(), **_known(facts)):
        raise _missing(instance_id)


def observe(instance_id: UUID, power_state: int, *, node: str) -> bool:
    """Note a power state seen at the hypervisor and what follows from it; changes nothing while an action runs.

    node: where it was seen; a stale copy on another node says nothing of the server. Returns whether the row changed.
    """
    seen, now = PowerState(power_state), timezone.now()
    idle = Instance.objects.filter(id=instance_id, node=node, task_state__isnull=True, deleted=False)
    for vm_state, known in idle.values_list("vm_state", "power_state"):
        then = follows(vm_state, seen)
        if then is not None and then != vm_state:
            after = {"vm_state": then.value, "vm_state_before": vm_state, "power_state": seen.value}
            return bool(idle.filter(vm_state=vm_state).update(updated_at=now, **after))
        if known != seen.value:
            return bool(idle.filter(vm_state=vm_state).update(power_state=seen.value, updated_at=now))
    return False


def described(fault: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return a fault in the API's form {code, message, created, details}; only details, for admins, name hosts."""
    whole = str(fault["message"])
    told = hosts.unnamed(whole)
    return {
        "code": int(fault.get("code", 500)),
        "message": told[:255],
        "created": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "details": str(fault.get("details", "" if told == whole else whole)),
    }


def _where(
    instance_id: UUID, vm_states: Iterable[VmState], task_states: Iterable[TaskState | None]
) -> QuerySet[Instance]:
    tasks = set(task_states)
    wanted = Q(task_state__in=[state.value for state in tasks if state is not None])
    if None in tasks:
        wanted |= Q(task_state__isnull=True)
    return Instance.objects.filter(wanted, id=instance_id, vm_state__in=[state.value for state in vm_states])


def _running(row: Action, instance_id: UUID) -> QuerySet[Instance]:
    return Instance.objects.filter(id=instance_id, task_state__in=[state.value for state in row.running])


def _current(instance_id: UUID) -> Instance:
    found = Instance.objects.filter(id=instance_id).only("vm_state", "task_state").first()
    if found is None:
        raise _missing(instance_id)
    return found


def _missing(instance_id: UUID) -> NotFound:
    return NotFound(f"Instance {instance_id} could not be found.")


def _refusal(row: Action, instance_id: UUID) -> WrongState:
    current = _current(instance_id)
    called = row.called or row.name
    if current.vm_state not in row.vm_states:
        return WrongState(called, instance_id, "vm_state", current.vm_state)
    return WrongState(called, instance_id, "task_state", current.task_state)


def _known(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    if unknown := facts.keys() - FACTS:
        raise TypeError(f"not a fact that a workflow notes: {', '.join(sorted(unknown))}")
    return facts
