"""Acts from the pages: each is asked back, done, told, and kept in the history of its row."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from instances.models import Instance
from tests.faults.world import World
from tests.pages.conftest import LogIn
from workers import audits
from workers.models import AuditSchedule, Host, Operation, State
from workers.testing import Drive, failure

YES = {"confirmed": "yes"}


@pytest.fixture
def operator(log_in: LogIn) -> Client:
    return log_in("operator")


def act(client: Client, row: Any, name: str, **said: str) -> str:
    options = row._meta
    address = reverse(f"admin:{options.app_label}_{options.model_name}_act", args=[row.pk, name])
    return client.post(address, {**YES, **said}, follow=True).content.decode()


def history(row: Any) -> list[str]:
    found = LogEntry.objects.filter(object_id=str(row.pk), content_type__model=row._meta.model_name)
    return list(found.order_by("id").values_list("change_message", flat=True))


def test_a_host_is_disabled_with_a_reason_and_enabled_again(world: World, operator: Client):
    assert "takes no new guests" in act(operator, world.host, "disable", reason="the fan is loud")
    world.host.refresh_from_db()
    assert (world.host.enabled, world.host.disabled_reason) == (False, "the fan is loud")
    act(operator, world.host, "enable")
    world.host.refresh_from_db()
    assert (world.host.enabled, world.host.disabled_reason) == (True, "")
    told = history(world.host)
    assert told[0].startswith("Disable: the fan is loud.")
    assert told[1].startswith("Enable.")


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_host_is_not_disabled_without_a_reason(world: World, operator: Client, reason: str):
    assert "Say why." in act(operator, world.host, "disable", reason=reason)
    world.host.refresh_from_db()
    assert world.host.enabled
    assert history(world.host) == []


@pytest.mark.parametrize("reason", ["x" * 256, "a\x07b"])
def test_a_reason_that_cannot_be_kept_is_refused_in_words(world: World, operator: Client, reason: str):
    assert "Give a reason of 1 to 255 printable characters." in act(
        operator, world.host, "disable", reason=reason
    )
    world.host.refresh_from_db()
    assert world.host.enabled


def test_a_host_is_forced_down_and_let_up(world: World, operator: Client):
    act(operator, world.host, "force-down", reason="it has no power")
    world.host.refresh_from_db()
    assert (world.host.forced_down, world.host.is_up, world.host.enabled) == (True, False, False)
    act(operator, world.host, "let-up")
    world.host.refresh_from_db()
    assert not world.host.forced_down


def test_many_hosts_are_disabled_from_the_list(world: World, operator: Client):
    other = Host.objects.create(name="other", alive=True)
    chosen = {"action": "disable", "_selected_action": [world.host.pk, other.pk]}
    address = reverse("admin:workers_host_changelist")
    asked = operator.post(address, chosen).content.decode()
    assert "Why does it take no new guests?" in asked
    assert asked.count('name="_selected_action"') == 2
    operator.post(address, {**chosen, **YES, "reason": "the room is hot"})
    assert set(Host.objects.values_list("enabled", "disabled_reason")) == {(False, "the room is hot")}
    assert LogEntry.objects.count() == 2


def test_what_may_not_be_is_told_and_leaves_no_trace(world: World, operator: Client):
    _, operation = world.boot()
    assert Drive(operation.id).run().state == "succeeded"
    assert "has ended: it is succeeded" in act(operator, operation, "cancel")
    assert "has ended: it is succeeded" in act(operator, operation, "retry")
    assert history(operation) == []


def test_an_operation_that_waits_is_cancelled(world: World, operator: Client):
    _, operation = world.boot()
    assert "is cancelled" in act(operator, operation, "cancel")
    operation.refresh_from_db()
    assert operation.cancelled_by == "operator operator"
    assert len(history(operation)) == 1


def test_an_operation_that_waits_is_tried_now(world: World, operator: Client):
    _, operation = world.boot()
    Operation.objects.filter(id=operation.id).update(run_after=operation.deadline)
    assert "is tried now" in act(operator, operation, "retry")
    operation.refresh_from_db()
    assert operation.run_after == 0


def failed_at(world: World, step: str) -> Operation:
    operation = world.accept(step.split(".", maxsplit=1)[0], world.active())
    Drive(operation.id, [failure(f"{step}.done", retryable=False, times=9)]).run()
    operation.refresh_from_db()
    assert operation.state == State.FAILED
    return operation


@pytest.mark.parametrize(
    ("step", "becomes"), [("stop.ask", "stopped"), ("pause.pause", "paused"), ("suspend.save", "suspended")]
)
def test_what_failed_is_asked_for_once_more(world: World, operator: Client, step: str, becomes: str):
    failed = failed_at(world, step)
    assert "was accepted in the place of" in act(operator, failed, "retry")
    newest = Operation.objects.filter(subject_id=failed.subject_id, kind=failed.kind).order_by("-created_at")[
        0
    ]
    assert newest.id != failed.id
    assert Drive(newest.id).run().state == "succeeded"
    assert Instance.objects.get(id=failed.subject_id).vm_state == becomes
    assert len(history(failed)) == 1


def test_a_boot_that_failed_is_not_begun_anew(world: World, operator: Client):
    _, operation = world.boot()
    Drive(operation.id, [failure("create.wire.done", retryable=False, times=9)]).run()
    operation.refresh_from_db()
    assert "delete the server and make another" in act(operator, operation, "retry")
    assert history(operation) == []


@pytest.mark.parametrize("to", ["active", "error"])
def test_a_server_s_state_is_reset_and_recorded(world: World, operator: Client, to: str):
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(vm_state="stopped", task_state="powering-on")
    act(operator, instance, f"reset-{to}", reason="I have looked")
    instance.refresh_from_db()
    assert (instance.vm_state, instance.task_state) == (to, None)
    assert history(instance)[0].startswith(f"Reset state to {to}: I have looked.")


def test_a_server_s_state_is_not_reset_under_an_operation(world: World, operator: Client):
    instance = world.active()
    world.accept("stop", instance)
    assert "Cannot" in act(operator, instance, "reset-active", reason="I have looked")
    instance.refresh_from_db()
    assert instance.task_state == "powering-off"
    assert history(instance) == []


def test_an_audit_is_run_now(world: World, operator: Client):
    row = next(row for row in audits.schedules() if row.name == "power")
    assert "runs on every host" in act(operator, row, "run")
    row.refresh_from_db()
    assert row.rung_by == "operator operator"
    assert len(history(row)) == 1


def test_an_audit_s_interval_is_changed_and_kept_in_its_history(world: World, operator: Client):
    audits.schedules()
    address = reverse("admin:workers_auditschedule_change", args=["power"])
    assert operator.post(address, {"every_s": "120", "enabled": "on"}).status_code == 302
    row = AuditSchedule.objects.get(name="power")
    assert row.every_s == 120
    assert "every" in history(row)[0].lower()
    refused = operator.post(address, {"every_s": "9", "enabled": "on"})
    assert refused.status_code == 200
    assert AuditSchedule.objects.get(name="power").every_s == 120


def test_no_more_than_two_hundred_at_once(world: World, operator: Client):
    Host.objects.bulk_create([Host(name=f"h{number}") for number in range(201)])
    chosen = {"action": "enable", "select_across": "1", "_selected_action": [world.host.pk]}
    page = operator.post(reverse("admin:workers_host_changelist"), chosen, follow=True)
    assert "Choose 200 at most." in page.content.decode()


def test_what_nobody_declared_is_not_found(world: World, operator: Client):
    address = reverse("admin:workers_host_act", args=[world.host.pk, "explode"])
    assert operator.post(address, YES).status_code == 404
