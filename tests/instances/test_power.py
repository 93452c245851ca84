"""Start, stop, reboot and delete by the API: what begins, and what is refused with the API's words."""

import uuid

import pytest

from instances.models import Instance
from instances.states import ACTIONS, TaskState, VmState
from instances.workflows.delete import DELETE
from tests.instances.conftest import a_server, refused
from workers.models import Host, Operation, Subject

BODIES = {
    "start": {"os-start": None},
    "stop": {"os-stop": None},
    "reboot": {"reboot": {"type": "SOFT"}},
    "reboot_hard": {"reboot": {"type": "HARD"}},
    "pause": {"pause": None},
    "unpause": {"unpause": None},
    "suspend": {"suspend": None},
    "resume": {"resume": None},
}
# Every pair of a request and states in which the table does not let it begin.
WRONG = [
    (name, vm_state.value, task_state and task_state.value)
    for name, row in ACTIONS.items()
    if name in BODIES
    for vm_state in VmState
    for task_state in (None, TaskState.SPAWNING, TaskState.POWERING_OFF)
    if vm_state is not VmState.DELETED
    and (vm_state not in row.vm_states or task_state not in row.task_states)
]
RIGHT = [(name, vm_state.value) for name in BODIES for vm_state in sorted(ACTIONS[name].vm_states)]


def placed(tenant, *states, **columns):
    instance = a_server(tenant, *states, host="h1", node="n1", **columns)
    Subject.objects.create(id=instance.id, type="instance")
    return instance


@pytest.mark.parametrize(("action", "vm_state"), RIGHT)
def test_an_action_is_accepted_with_its_operation(alice, action, vm_state):
    instance = placed(alice, vm_state)
    answer = alice.post(f"/servers/{instance.id}/action", BODIES[action])
    assert (answer.status_code, answer.content) == (202, b"")
    instance.refresh_from_db()
    assert instance.task_state == ACTIONS[action].running[0]
    operation = Operation.objects.get()
    assert (operation.kind, operation.host) == (action.removesuffix("_hard"), "h1")
    assert operation.params["node"] == "n1"
    if "reboot" in action:
        assert operation.params["hard"] is (action == "reboot_hard")


@pytest.mark.parametrize(("action", "vm_state", "task_state"), WRONG)
def test_an_action_is_refused_in_a_wrong_state(alice, action, vm_state, task_state):
    instance = placed(alice, vm_state, task_state)
    message = refused(alice.post(f"/servers/{instance.id}/action", BODIES[action]), 409)
    wrong = (
        f"vm_state {vm_state}" if vm_state not in ACTIONS[action].vm_states else f"task_state {task_state}"
    )
    assert message == (
        f"Cannot '{action.removesuffix('_hard')}' instance {instance.id} while it is in {wrong}"
    )
    assert Operation.objects.count() == 0


def test_an_instance_without_a_host_is_not_ready(alice, server):
    instance = server("error")
    message = refused(alice.post(f"/servers/{instance.id}/action", BODIES["stop"]), 409)
    assert message == f"Instance {instance.id} is not ready"
    instance.refresh_from_db()
    assert instance.task_state is None


def test_a_subject_that_something_else_holds_is_left_alone(alice):
    instance = placed(alice, "active")
    Subject.objects.filter(id=instance.id).update(holder=uuid.uuid4())
    refused(alice.post(f"/servers/{instance.id}/action", BODIES["stop"]), 409)
    instance.refresh_from_db()
    assert instance.task_state is None


def test_a_delete_is_accepted_in_any_state_and_only_once(alice):
    Host.objects.create(name="h1", alive=True)
    instance = placed(alice, "building", "spawning")
    for _ in range(2):
        answer = alice.delete(f"/servers/{instance.id}")
        assert (answer.status_code, answer.content) == (204, b"")
    operation = Operation.objects.get()
    assert (operation.kind, operation.host) == ("delete", "h1")
    shown = alice.get(f"/servers/{instance.id}").json()["server"]
    assert shown["OS-EXT-STS:task_state"] == "deleting"


@pytest.mark.parametrize("columns", [{"alive": False}, {"alive": True, "forced_down": True}])
def test_a_delete_does_not_wait_for_a_host_that_is_down(alice, columns):
    Host.objects.create(name="h1", **columns)
    instance = placed(alice, "active")
    assert alice.delete(f"/servers/{instance.id}").status_code == 204
    operation = Operation.objects.get()
    assert (operation.host, DELETE.steps[operation.cursor].name) == (None, "release")


def test_a_deleted_server_is_gone_but_for_lists_of_changes(alice, server):
    instance = server("deleted")
    for answer in (
        alice.get(f"/servers/{instance.id}"),
        alice.delete(f"/servers/{instance.id}"),
        alice.post(f"/servers/{instance.id}/action", BODIES["start"]),
    ):
        assert refused(answer, 404) == f"Instance {instance.id} could not be found."


@pytest.mark.parametrize("server_id", ["nope", str(uuid.UUID(int=7)), "x" * 300, "%00", "..%2f"])
def test_what_is_no_server_is_not_found(alice, server_id):
    refused(alice.get(f"/servers/{server_id}"), 404)
    refused(alice.delete(f"/servers/{server_id}"), 404)


def test_another_tenant_s_server_is_not_found_by_any_path(alice, bob):
    instance = placed(alice, "active")
    path = f"/servers/{instance.id}"
    for answer in (
        bob.get(path),
        bob.put(path, {"server": {"name": "mine"}}),
        bob.delete(path),
        bob.post(f"{path}/action", BODIES["stop"]),
        bob.post(f"{path}/action", {"os-getConsoleOutput": {}}),
        bob.get(f"{path}/ips"),
        bob.get(f"{path}/metadata"),
        bob.put(f"{path}/metadata", {"metadata": {}}),
        bob.delete(f"{path}/metadata/a"),
        bob.get(f"{path}/os-instance-actions"),
        bob.get(f"{path}/os-instance-actions/req-1"),
    ):
        assert refused(answer, 404) == f"Instance {instance.id} could not be found."
    assert Operation.objects.count() == 0


@pytest.mark.parametrize("action", BODIES)
def test_an_action_is_refused_for_who_may_not(alice, bob, reader, action):
    instance = placed(alice, sorted(ACTIONS[action].vm_states)[0], locked_by="owner")
    path = f"/servers/{instance.id}/action"
    refused(bob.post(path, BODIES[action]), 404)
    refused(reader.post(path, BODIES[action]), 403)
    assert refused(alice.post(path, BODIES[action]), 409) == f"Instance {instance.id} is locked"
    assert Operation.objects.count() == 0


def test_a_locked_server_is_changed_by_admins_alone(alice, admin):
    instance = placed(alice, "active", locked_by="owner")
    assert refused(alice.delete(f"/servers/{instance.id}"), 409) == f"Instance {instance.id} is locked"
    refused(alice.post(f"/servers/{instance.id}/action", BODIES["stop"]), 409)
    assert admin.post(f"/servers/{instance.id}/action", BODIES["stop"]).status_code == 202


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("", "Malformed"),
        ("{}", "Malformed"),
        ("[]", "Malformed"),
        ('"os-start"', "Malformed"),
        ('{"os-start": null, "os-stop": null}', "more than one"),
        ('{"fly": null}', "There is no such action: fly"),
        ('{"reboot": null}', "reboot"),
        ('{"reboot": {}}', "type"),
        ('{"reboot": {"type": "MEDIUM"}}', "type"),
        ('{"reboot": {"type": "SOFT", "x": 1}}', "x"),
        ('{"os-getConsoleOutput": {"length": -2}}', "length"),
        ('{"os-getConsoleOutput": {"length": "many"}}', "length"),
        ('{"os-getConsoleOutput": 5}', "os-getConsoleOutput"),
    ],
)
def test_a_malformed_action_is_refused(alice, server, raw, words):
    assert words in refused(alice.call("POST", f"/servers/{server().id}/action", raw), 400)


def test_a_reader_may_look_and_touch_nothing(reader, alice):
    instance = placed(alice, "active")
    assert reader.get(f"/servers/{instance.id}").status_code == 200
    refused(reader.delete(f"/servers/{instance.id}"), 403)
    refused(reader.post(f"/servers/{instance.id}/action", BODIES["stop"]), 403)
    refused(reader.put(f"/servers/{instance.id}", {"server": {"name": "x"}}), 403)


def test_a_console_of_a_server_without_a_host_is_not_ready(alice, server):
    instance = server("building", "scheduling")
    answer = alice.post(f"/servers/{instance.id}/action", {"os-getConsoleOutput": {"length": 10}})
    assert refused(answer, 409) == f"Instance {instance.id} is not ready"


def test_an_action_costs_few_queries(alice, django_assert_max_num_queries):
    instance = placed(alice, "active")
    with django_assert_max_num_queries(14):
        alice.post(f"/servers/{instance.id}/action", BODIES["stop"])
    assert Instance.objects.get().task_state == "powering-off"
