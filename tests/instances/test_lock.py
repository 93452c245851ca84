"""Lock and unlock: who may undo whose lock, and what a lock keeps from being done."""

import pytest

from instances.models import Instance
from tests.instances.conftest import Tenant, a_server, refused
from tests.instances.test_power import BODIES, placed
from workers.models import Operation


def act(tenant, instance, action, body=None):
    return tenant.post(f"/servers/{instance.id}/action", {action: body})


@pytest.fixture
def admin_at_home(alice):
    """An admin in the project of the server's owner."""
    return Tenant(roles=("admin", "member"), project_id=alice.project_id)


def test_a_server_shows_that_it_is_locked_and_why(alice, server):
    instance = server()
    assert act(alice, instance, "lock", {"locked_reason": "in use"}).status_code == 202
    shown = alice.get(f"/servers/{instance.id}").json()["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "in use")
    assert act(alice, instance, "unlock").status_code == 202
    shown = alice.get(f"/servers/{instance.id}").json()["server"]
    assert (shown["locked"], shown["locked_reason"]) == (False, None)
    kinds = [
        one["action"]
        for one in alice.get(f"/servers/{instance.id}/os-instance-actions").json()["instanceActions"]
    ]
    assert kinds == ["unlock", "lock"]
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_an_owner_s_second_lock_changes_nothing(alice, server):
    instance = server()
    act(alice, instance, "lock", {"locked_reason": "first"})
    assert act(alice, instance, "lock", {"locked_reason": "second"}).status_code == 202
    instance.refresh_from_db()
    assert (instance.locked_by, instance.locked_reason) == ("owner", "first")
    assert Operation.objects.count() == 1


def test_an_admin_s_lock_replaces_the_owner_s_and_is_not_undone_by_the_owner(alice, admin, server):
    instance = server()
    act(alice, instance, "lock")
    act(admin, instance, "lock", {"locked_reason": "frozen"})
    instance.refresh_from_db()
    assert (instance.locked_by, instance.locked_reason) == ("admin", "frozen")
    words = refused(act(alice, instance, "unlock"), 403)
    assert (
        words == "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed."
    )
    act(alice, instance, "lock")
    instance.refresh_from_db()
    assert instance.locked_by == "admin"
    assert act(admin, instance, "unlock").status_code == 202
    instance.refresh_from_db()
    assert instance.locked_by == ""


def test_an_admin_of_the_owner_s_project_locks_as_an_owner(alice, admin_at_home, server):
    instance = server()
    act(admin_at_home, instance, "lock")
    instance.refresh_from_db()
    assert instance.locked_by == "owner"
    assert act(alice, instance, "unlock").status_code == 202


def test_what_is_not_locked_may_be_unlocked(alice, server):
    assert act(alice, server(), "unlock").status_code == 202
    assert Operation.objects.count() == 0


@pytest.mark.parametrize("action", ["lock", "unlock"])
def test_neither_strangers_nor_readers_lock(alice, bob, reader, server, action):
    instance = server(locked_by="owner")
    refused(act(bob, instance, action), 404)
    refused(act(reader, instance, action), 403)
    instance.refresh_from_db()
    assert instance.locked_by == "owner"


@pytest.mark.parametrize(
    "body",
    [{"locked_reason": ""}, {"locked_reason": "x" * 256}, {"locked_reason": 1}, {"locked_reason": "a\x00b"},
     {"reason": "x"}, [], "why"],
)  # fmt: skip
def test_a_reason_that_makes_no_sense_is_refused(alice, server, body):
    instance = server()
    refused(act(alice, instance, "lock", body), 400)
    instance.refresh_from_db()
    assert instance.locked_by == ""


def test_older_versions_keep_no_reason(alice, server):
    instance = server()
    assert act(alice.at("2.72"), instance, "lock", {"locked_reason": "x"}).status_code == 202
    instance.refresh_from_db()
    assert (instance.locked_by, instance.locked_reason) == ("owner", None)


KEPT = {
    **{action: ("POST", "/action", body) for action, body in BODIES.items()},
    "delete": ("DELETE", "", None),
    "metadata added": ("POST", "/metadata", {"metadata": {"a": "b"}}),
    "metadata replaced": ("PUT", "/metadata", {"metadata": {"a": "b"}}),
    "item set": ("PUT", "/metadata/k", {"meta": {"k": "b"}}),
    "item removed": ("DELETE", "/metadata/k", None),
}
STATES = {"start": "stopped", "unpause": "paused", "resume": "suspended"}


@pytest.mark.parametrize("name", KEPT)
def test_a_lock_keeps_a_server_from_its_owner_and_not_from_an_admin(alice, admin, name):
    method, path, body = KEPT[name]
    instance = placed(alice, STATES.get(name, "active"), locked_by="owner", metadata={"k": "v"})
    words = refused(alice.call(method, f"/servers/{instance.id}{path}", body), 409)
    assert words == f"Instance {instance.id} is locked"
    assert Operation.objects.count() == 0
    instance.refresh_from_db()
    assert (instance.task_state, instance.metadata) == (None, {"k": "v"})
    assert admin.call(method, f"/servers/{instance.id}{path}", body).status_code in (200, 202, 204)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"server": {"name": "new"}}),
        ("PUT", "/tags", {"tags": ["a"]}),
        ("PUT", "/tags/b", None),
        ("DELETE", "/tags", None),
        ("POST", "/action", {"lock": None}),
        ("POST", "/action", {"unlock": None}),
    ],
)
def test_a_lock_does_not_keep_words_about_a_server(alice, method, path, body):
    instance = placed(alice, "active", locked_by="owner")
    assert alice.call(method, f"/servers/{instance.id}{path}", body).status_code < 300


def test_a_lock_that_comes_between_the_look_and_the_act_counts(alice, monkeypatch):
    from instances import transitions

    instance = placed(alice, "active")
    begin = transitions.begin

    def slower(action, instance_id):
        Instance.objects.filter(id=instance_id).update(locked_by="owner")
        begin(action, instance_id)

    monkeypatch.setattr(transitions, "begin", slower)
    refused(act(alice, instance, "pause"), 409)
    instance.refresh_from_db()
    assert instance.task_state is None
    assert Operation.objects.count() == 0


def test_servers_are_found_and_sorted_by_their_locks(alice, server):
    server(name="a", locked_by="owner")
    server(name="b")
    assert [one["name"] for one in alice.get("/servers?locked=true").json()["servers"]] == ["a"]
    both = alice.get("/servers?sort_key=locked&sort_dir=asc").json()["servers"]
    assert [one["name"] for one in both] == ["b", "a"]


def reset(tenant, instance, state):
    return act(tenant, instance, "os-resetState", {"state": state})


@pytest.mark.parametrize("state", ["active", "error"])
def test_an_admin_resets_a_state_and_history_has_it(alice, admin, state):
    instance = placed(alice, "error", locked_by="owner")
    assert reset(admin, instance, state).status_code == 202
    instance.refresh_from_db()
    assert (instance.vm_state, instance.task_state) == (state, None)
    operation = Operation.objects.get()
    assert (operation.kind, operation.params, operation.user_id) == (
        "resetState",
        {"state": state},
        admin.user_id,
    )


def test_a_state_is_not_reset_under_an_operation(alice, admin):
    instance = placed(alice, "active", "pausing")
    at_work = Operation.objects.create(
        kind="pause", state="running", subject_type="instance", subject_id=instance.id
    )
    words = refused(reset(admin, instance, "error"), 409)
    assert words == f"Cannot 'reset state' instance {instance.id} while it is in task_state pausing"
    at_work.delete()
    assert reset(admin, instance, "error").status_code == 202, "nothing works on it any more"
    instance.refresh_from_db()
    assert (instance.vm_state, instance.task_state) == ("error", None)


def test_a_server_without_a_host_is_not_made_active(admin):
    instance = a_server(admin, "error")
    assert refused(reset(admin, instance, "active"), 409) == f"Instance {instance.id} is not ready"
    instance.refresh_from_db()
    assert instance.vm_state == "error"


@pytest.mark.parametrize("body", [None, {}, {"state": "paused"}, {"state": 1}, {"state": "active", "x": 1}])
def test_a_state_that_is_none_is_refused(admin, body):
    refused(act(admin, a_server(admin), "os-resetState", body), 400)


def test_states_are_reset_by_admins_alone(alice, bob, server):
    instance = server("error")
    refused(reset(alice, instance, "active"), 403)
    refused(reset(bob, instance, "active"), 404)
