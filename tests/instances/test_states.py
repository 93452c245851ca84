"""The state table: its rows hold together, and statuses and filters follow from it."""

import itertools

import pytest

from instances.states import ACTIONS, STATUS, TaskState, VmState, states_of, status

BEGIN_AGAIN = {"create", "reboot_hard"}  # by rule


@pytest.mark.parametrize(
    "action", [row for row in ACTIONS.values() if row.name not in BEGIN_AGAIN], ids=lambda action: action.name
)
def test_an_action_may_not_begin_while_it_runs_itself(action):
    assert not action.task_states & set(action.running)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)
def test_what_ends_somewhere_shows_that_it_runs(action):
    assert action.vm_states
    assert action.running or (action.done is None and action.failed is None)


def test_a_status_filter_finds_exactly_the_states_that_show_as_it():
    for name in set(STATUS.values()):
        vm_states, task_states = states_of(name.lower())
        assert {pair for pair, shown in STATUS.items() if shown == name} == set(
            itertools.product(vm_states, task_states)
        )


def test_an_unknown_status_is_no_states():
    assert states_of("SLEEPING") is None
    assert status("asleep", None) == "UNKNOWN"


@pytest.mark.parametrize(
    ("vm_state", "task_state", "shown"),
    [
        (VmState.BUILDING, TaskState.SCHEDULING, "BUILD"),
        (VmState.ACTIVE, None, "ACTIVE"),
        (VmState.ACTIVE, TaskState.POWERING_OFF, "ACTIVE"),
        (VmState.STOPPED, TaskState.POWERING_ON, "SHUTOFF"),
        (VmState.ACTIVE, TaskState.REBOOTING, "REBOOT"),
        (VmState.ACTIVE, TaskState.REBOOT_STARTED_HARD, "HARD_REBOOT"),
        (VmState.STOPPED, TaskState.RESIZE_PREP, "RESIZE"),
        (VmState.RESIZED, None, "VERIFY_RESIZE"),
        (VmState.RESIZED, TaskState.RESIZE_REVERTING, "REVERT_RESIZE"),
        (VmState.ERROR, TaskState.REBUILD_SPAWNING, "REBUILD"),
        (VmState.PAUSED, TaskState.MIGRATING, "MIGRATING"),
        (VmState.ACTIVE, TaskState.UPDATING_PASSWORD, "PASSWORD"),
        (VmState.RESCUED, None, "RESCUE"),
        (VmState.SOFT_DELETED, None, "SOFT_DELETED"),
        (VmState.SHELVED_OFFLOADED, None, "SHELVED_OFFLOADED"),
        (VmState.ERROR, TaskState.DELETING, "ERROR"),
    ],
)
def test_a_status_follows_from_both_states(vm_state, task_state, shown):
    assert status(vm_state, task_state) == shown
