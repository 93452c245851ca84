"""A host that dies: its deletes go on without it, and it cleans up when it is back."""

import pytest

from instances import on_host
from tests.faults.world import World, counts
from workers import audits, dispatch
from workers.driver import driver
from workers.models import Finding, Footprint, Host, Subject
from workers.testing import Drive


def test_what_a_deleted_server_left_on_a_dead_host_is_removed_when_the_host_is_back(world: World):
    instance = world.active()
    Host.objects.update(alive=False)
    assert Drive(world.accept("delete", instance).id).run().state == "succeeded"
    instance.refresh_from_db()
    assert instance.deleted
    assert counts()["allocations"] == counts()["charges"] == counts()["ports"] == 0
    assert counts()["guests"] == counts()["disks"] == 1
    assert set(Footprint.objects.values_list("host", flat=True)) == {world.host.name}
    on_host.clean_up(world.host)
    assert counts()["guests"] == counts()["disks"] == counts()["footprints"] == 0
    assert Finding.objects.filter(audit="cleanup").count() == 1


def test_a_host_that_has_nothing_to_clean_leaves_its_guests_alone(world: World):
    world.active()
    on_host.clean_up(world.host)
    assert counts()["guests"] == 1


def test_a_broker_that_fails_is_not_asked_again_at_once(world: World, monkeypatch: pytest.MonkeyPatch):
    _, operation = world.boot()
    monkeypatch.setattr(dispatch._silence, "until_s", dispatch.time.monotonic() + 60)
    assert dispatch.publish(operation) is False
    monkeypatch.setattr(dispatch._silence, "until_s", 0.0)
    assert dispatch.publish(operation) is True


def test_a_power_change_that_the_hypervisor_tells_of_is_noted_at_once(world: World):
    instance = world.active()
    driver().power_off(str(instance.node), instance.id, Subject.objects.get(id=instance.id).epoch)
    facts = driver().guest(str(instance.node), instance.id)
    assert facts is not None
    on_host.follow_power(node=str(instance.node), uuid=instance.id, power_state=facts.power_state)
    instance.refresh_from_db()
    assert instance.vm_state == "stopped"


def test_the_power_audit_notes_what_was_missed_and_records_the_mend(world: World):
    instance = world.active()
    driver().power_off(str(instance.node), instance.id, Subject.objects.get(id=instance.id).epoch)
    audits.run("power", host=world.host.name, pause=lambda _s: None)
    instance.refresh_from_db()
    assert instance.vm_state == "stopped"
    assert Finding.objects.filter(audit="power").count() == 1
