"""What states an instance has and what each action does to them; every refusal, transition and status comes from here.

Source of the rules: the Compute API's own behaviour. `task_state` NULL means idle.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class VmState(enum.StrEnum):
    """What an instance is while nothing happens to it."""

    ACTIVE = "active"
    BUILDING = "building"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class TaskState(enum.StrEnum):
    """What is being done to an instance right now."""

    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    SPAWNING = "spawning"
    DELETING = "deleting"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    REBOOTING = "rebooting"
    REBOOT_PENDING = "reboot_pending"
    REBOOT_STARTED = "reboot_started"
    REBOOTING_HARD = "rebooting_hard"
    REBOOT_PENDING_HARD = "reboot_pending_hard"
    REBOOT_STARTED_HARD = "reboot_started_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    REBUILDING = "rebuilding"
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"
    REBUILD_SPAWNING = "rebuild_spawning"
    MIGRATING = "migrating"
    UPDATING_PASSWORD = "updating_password"  # noqa: S105  a state's name, not a secret


class PowerState(enum.IntEnum):
    """What the hypervisor last said, with the numbers of the API."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


IDLE: frozenset[TaskState | None] = frozenset({None})
ANY_TASK: frozenset[TaskState | None] = frozenset({None, *TaskState})
ANY_VM = frozenset(VmState) - {VmState.DELETED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One line of the table.

    vm_states, task_states: where it may begin. running: the task states it passes through, the first set when it
    begins; none for a change that is made at once. done: the vm_state it ends in, None where it stays as it was.
    failed: the vm_state after a failure, None where undoing has restored what was before.
    """

    name: str
    vm_states: frozenset[VmState]
    running: tuple[TaskState, ...]
    task_states: frozenset[TaskState | None] = IDLE
    done: VmState | None = None
    failed: VmState | None = None
    called: str = ""  # the word for it in a refusal, where that is not its name


def _vm(*states: VmState) -> frozenset[VmState]:
    return frozenset(states)


_V, _T = VmState, TaskState

_ROWS = (
    Action(
        name="create",
        vm_states=_vm(_V.BUILDING),
        running=(_T.SCHEDULING, _T.NETWORKING, _T.BLOCK_DEVICE_MAPPING, _T.SPAWNING),
        task_states=frozenset({None, _T.SCHEDULING}),
        done=_V.ACTIVE,
        failed=_V.ERROR,
    ),
    Action(
        name="delete",
        vm_states=ANY_VM,
        running=(_T.DELETING,),
        task_states=ANY_TASK - {_T.DELETING},
        done=_V.DELETED,
        failed=_V.ERROR,
    ),
    Action(name="start", vm_states=_vm(_V.STOPPED), running=(_T.POWERING_ON,), done=_V.ACTIVE),
    Action(name="stop", vm_states=_vm(_V.ACTIVE, _V.ERROR), running=(_T.POWERING_OFF,), done=_V.STOPPED),
    Action(
        name="reboot",
        vm_states=_vm(_V.ACTIVE),
        running=(_T.REBOOTING, _T.REBOOT_PENDING, _T.REBOOT_STARTED),
        done=_V.ACTIVE,
    ),
    Action(
        name="reboot_hard",
        vm_states=_vm(_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED, _V.ERROR),
        running=(_T.REBOOTING_HARD, _T.REBOOT_PENDING_HARD, _T.REBOOT_STARTED_HARD),
        task_states=frozenset({None, _T.REBOOTING, _T.REBOOT_PENDING, _T.REBOOT_STARTED, _T.REBOOTING_HARD})
        | {
            _T.REBOOT_PENDING_HARD,
            _T.REBOOT_STARTED_HARD,
            _T.PAUSING,
            _T.UNPAUSING,
            _T.SUSPENDING,
            _T.RESUMING,
        },
        done=_V.ACTIVE,
        failed=_V.ERROR,
        called="reboot",
    ),
    Action(name="pause", vm_states=_vm(_V.ACTIVE), running=(_T.PAUSING,), done=_V.PAUSED),
    Action(name="unpause", vm_states=_vm(_V.PAUSED), running=(_T.UNPAUSING,), done=_V.ACTIVE),
    Action(name="suspend", vm_states=_vm(_V.ACTIVE), running=(_T.SUSPENDING,), done=_V.SUSPENDED),
    Action(name="resume", vm_states=_vm(_V.SUSPENDED), running=(_T.RESUMING,), done=_V.ACTIVE),
    Action(
        name="metadata",
        vm_states=_vm(_V.ACTIVE, _V.PAUSED, _V.SUSPENDED, _V.STOPPED),
        running=(),
        called="update metadata",
    ),
    *(
        Action(
            name=name,
            vm_states=_vm(_V.ACTIVE, _V.PAUSED, _V.SUSPENDED, _V.STOPPED),
            running=(),
            task_states=ANY_TASK,
            called=name.replace("_", " "),
        )
        for name in ("update_tags", "update_tag", "delete_tags", "delete_tag")
    ),
    Action(name="reset_state", vm_states=ANY_VM, running=(), called="reset state"),
)

ACTIONS: Mapping[str, Action] = MappingProxyType({row.name: row for row in _ROWS})

FIRST_VM_STATE, FIRST_TASK_STATE = VmState.BUILDING, TaskState.SCHEDULING


# What the API calls a vm_state while idle, and where a task under way has a name of its own.
_IDLE_STATUS: Mapping[VmState, str] = {
    _V.ACTIVE: "ACTIVE",
    _V.BUILDING: "BUILD",
    _V.PAUSED: "PAUSED",
    _V.SUSPENDED: "SUSPENDED",
    _V.STOPPED: "SHUTOFF",
    _V.RESCUED: "RESCUE",
    _V.RESIZED: "VERIFY_RESIZE",
    _V.SOFT_DELETED: "SOFT_DELETED",
    _V.DELETED: "DELETED",
    _V.ERROR: "ERROR",
    _V.SHELVED: "SHELVED",
    _V.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
}
_RESIZING = {
    _T.RESIZE_PREP: "RESIZE",
    _T.RESIZE_MIGRATING: "RESIZE",
    _T.RESIZE_MIGRATED: "RESIZE",
    _T.RESIZE_FINISH: "RESIZE",
}
_REBUILDING = {
    _T.REBUILDING: "REBUILD",
    _T.REBUILD_BLOCK_DEVICE_MAPPING: "REBUILD",
    _T.REBUILD_SPAWNING: "REBUILD",
}
_BUSY_STATUS: Mapping[VmState, Mapping[TaskState, str]] = {
    _V.ACTIVE: {
        _T.REBOOTING: "REBOOT",
        _T.REBOOT_PENDING: "REBOOT",
        _T.REBOOT_STARTED: "REBOOT",
        _T.REBOOTING_HARD: "HARD_REBOOT",
        _T.REBOOT_PENDING_HARD: "HARD_REBOOT",
        _T.REBOOT_STARTED_HARD: "HARD_REBOOT",
        _T.UPDATING_PASSWORD: "PASSWORD",
        _T.MIGRATING: "MIGRATING",
        **_RESIZING,
        **_REBUILDING,
    },
    _V.STOPPED: {**_RESIZING, **_REBUILDING},
    _V.ERROR: _REBUILDING,
    _V.PAUSED: {_T.MIGRATING: "MIGRATING"},
    _V.RESIZED: {_T.RESIZE_REVERTING: "REVERT_RESIZE"},
}

# Keyed by plain strings, as the list path reads them from the database.
STATUS: Mapping[tuple[str, str | None], str] = MappingProxyType(
    {
        (vm.value, task.value if task else None): _BUSY_STATUS.get(vm, {}).get(task, idle) if task else idle
        for vm, idle in _IDLE_STATUS.items()
        for task in (None, *TaskState)
    }
)

HAS_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
HAS_FAULT = frozenset({"ERROR", "DELETED"})


def status(vm_state: str, task_state: str | None) -> str:
    """Return the API's status of an instance, UNKNOWN for states that the table does not have."""
    return STATUS.get((vm_state, task_state), "UNKNOWN")


def allowed(vm_state: str, task_state: str | None) -> frozenset[str]:
    """Return the names of the actions that may begin in this state."""
    return frozenset(row.name for row in _ROWS if vm_state in row.vm_states and task_state in row.task_states)


def states_of(wanted: str) -> tuple[frozenset[str], frozenset[str | None]] | None:
    """Return the vm_states and task_states that show as this status (any case), None where no state does."""
    pairs = [pair for pair, name in STATUS.items() if name == wanted.upper()]
    if not pairs:
        return None
    return frozenset(vm for vm, _ in pairs), frozenset(task for _, task in pairs)


# What a power state seen at the hypervisor makes of an idle instance that is one of FOLLOWS_POWER; any other vm_state
# stays, and power_state alone changes.
FOLLOWS_POWER = frozenset({_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED})
OBSERVED: Mapping[PowerState, VmState] = MappingProxyType(
    {
        PowerState.RUNNING: _V.ACTIVE,
        PowerState.PAUSED: _V.PAUSED,
        PowerState.SHUTDOWN: _V.STOPPED,
        PowerState.CRASHED: _V.STOPPED,
        PowerState.SUSPENDED: _V.SUSPENDED,
    }
)


def follows(vm_state: str, seen: int) -> VmState | None:
    """Return the vm_state that a power state seen at the hypervisor makes of an idle instance; None: it stays."""
    return OBSERVED.get(PowerState(seen)) if vm_state in FOLLOWS_POWER else None
