"""The writer of states: what begins, ends and fails, and what refuses to."""

import itertools
import uuid

import pytest

from computecloud.wire.errors import NotFound
from instances import transitions
from instances.states import ACTIONS, PowerState, TaskState, VmState
from instances.transitions import WrongState
from workers.models import Host

RUNNING = [row for row in ACTIONS.values() if row.running]
TASKS = (None, TaskState.SCHEDULING, TaskState.POWERING_OFF, TaskState.REBOOTING, TaskState.DELETING)


def states(instance):
    instance.refresh_from_db()
    return instance.vm_state, instance.task_state


@pytest.mark.parametrize("action", RUNNING, ids=lambda row: row.name)
def test_an_action_begins_exactly_where_the_table_says(server, action):
    for vm_state, task_state in itertools.product(VmState, TASKS):
        instance = server(vm_state.value, task_state)
        if vm_state in action.vm_states and task_state in action.task_states:
            transitions.begin(action.name, instance.id)
            assert states(instance) == (vm_state, action.running[0])
            assert instance.vm_state_before == vm_state
        else:
            with pytest.raises(WrongState):
                transitions.begin(action.name, instance.id)
            assert states(instance) == (vm_state, task_state)


def test_a_refusal_has_the_words_that_clients_know(server):
    stopped = server("stopped")
    with pytest.raises(WrongState) as refusal:
        transitions.begin("stop", stopped.id)
    assert refusal.value.message == f"Cannot 'stop' instance {stopped.id} while it is in vm_state stopped"
    busy = server("active", "powering-off")
    with pytest.raises(WrongState) as refusal:
        transitions.begin("stop", busy.id)
    assert refusal.value.message == f"Cannot 'stop' instance {busy.id} while it is in task_state powering-off"


def test_an_instance_that_does_not_exist_is_not_found(db):
    with pytest.raises(NotFound):
        transitions.begin("stop", uuid.uuid4())


@pytest.mark.parametrize("action", RUNNING, ids=lambda row: row.name)
def test_an_action_ends_once_and_again_without_harm(server, action):
    began_in = sorted(action.vm_states)[0]
    instance = server(began_in, action.running[-1].value)
    assert transitions.done(action.name, instance.id)
    assert states(instance) == (action.done or began_in, None)
    assert not transitions.done(action.name, instance.id)
    assert instance.deleted == (action.name == "delete")


def test_what_does_not_run_can_not_end(server):
    instance = server("stopped")
    with pytest.raises(WrongState):
        transitions.done("reboot", instance.id)


def test_a_boot_overtaken_by_a_delete_neither_ends_nor_fails(server):
    instance = server("building", "deleting")
    with pytest.raises(WrongState):
        transitions.done("create", instance.id)
    with pytest.raises(WrongState):
        transitions.failed("create", instance.id, {"code": 500, "message": "x"})
    assert states(instance) == ("building", "deleting")


def test_the_end_of_a_boot_notes_when_and_that_it_runs(server):
    instance = server("building", "spawning", power_state=0)
    transitions.done("create", instance.id)
    states(instance)
    assert instance.launched_at is not None
    assert instance.power_state == PowerState.RUNNING


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("create", "building", "error"),
        ("stop", "active", "active"),
        ("stop", "error", "error"),
        ("start", "stopped", "stopped"),
        ("reboot", "active", "active"),
        ("reboot_hard", "stopped", "error"),
        ("delete", "active", "error"),
    ],
)
def test_a_failure_leaves_what_the_table_says_with_the_fault(server, action, before, after):
    instance = server(before)
    transitions.begin(action, instance.id)
    assert transitions.failed(action, instance.id, {"code": 500, "message": "it broke", "details": "where"})
    assert states(instance) == (after, None)
    assert instance.fault["message"] == "it broke"
    assert instance.fault["created"].endswith("Z")


def test_a_fault_names_the_host_in_its_details_alone(server):
    Host.objects.create(name="h1")
    instance = server("active", "rebooting_hard")
    transitions.failed("reboot_hard", instance.id, {"code": 500, "message": "host h1 is down"})
    instance.refresh_from_db()
    assert (instance.fault["message"], instance.fault["details"]) == ("its host is down", "host h1 is down")


def test_an_end_that_was_written_is_taken_back_by_a_failure(server):
    instance = server("active")
    transitions.begin("stop", instance.id)
    transitions.done("stop", instance.id)
    assert transitions.failed("stop", instance.id, {"message": "undone"})
    assert states(instance) == ("active", None)
    assert not transitions.failed("stop", instance.id, {"message": "undone"})


def test_a_delete_that_is_done_is_never_taken_back(server):
    instance = server("active", "deleting")
    transitions.done("delete", instance.id)
    assert not transitions.failed("delete", instance.id, {"message": "late"})
    assert states(instance) == ("deleted", None)


def test_an_action_advances_through_its_own_task_states_only(server):
    instance = server("building", "scheduling")
    transitions.advance("create", instance.id, TaskState.SPAWNING, host="h1", node="n1")
    assert states(instance) == ("building", "spawning")
    assert instance.host == "h1"
    with pytest.raises(ValueError, match="does not pass through"):
        transitions.advance("create", instance.id, TaskState.DELETING)
    with pytest.raises(WrongState):
        transitions.advance("create", server("active").id, TaskState.SPAWNING)


def test_a_state_is_no_fact(server):
    with pytest.raises(TypeError, match="vm_state"):
        transitions.note(server().id, vm_state="active")


@pytest.mark.parametrize(
    ("states_before", "seen", "after"),
    [
        (("active", None, 1), 4, ("stopped", None, 4)),
        (("active", None, 1), 6, ("stopped", None, 6)),
        (("stopped", None, 4), 1, ("active", None, 1)),
        (("active", None, 1), 3, ("paused", None, 3)),
        (("active", None, 1), 7, ("suspended", None, 7)),
        (("active", None, 1), 0, ("active", None, 0)),
        (("paused", None, 3), 1, ("active", None, 1)),
        (("paused", None, 3), 4, ("stopped", None, 4)),
        (("paused", None, 3), 7, ("suspended", None, 7)),
        (("suspended", None, 7), 1, ("active", None, 1)),
        (("suspended", None, 7), 4, ("stopped", None, 4)),
        (("stopped", None, 4), 3, ("paused", None, 3)),
        (("rescued", None, 1), 4, ("rescued", None, 4)),
        (("paused", "unpausing", 3), 1, ("paused", "unpausing", 3)),
        (("active", "powering-off", 1), 4, ("active", "powering-off", 1)),
        (("error", None, 1), 4, ("error", None, 4)),
    ],
)
def test_a_power_change_seen_at_the_hypervisor_is_noted_while_nothing_runs(
    server, states_before, seen, after
):
    vm_state, task_state, power_state = states_before
    instance = server(vm_state, task_state, power_state=power_state, node="n1")
    assert transitions.observe(instance.id, seen, node=str(instance.node)) == (states_before != after)
    assert (*states(instance), instance.power_state) == after
    assert not transitions.observe(instance.id, seen, node=str(instance.node))
