"""The audits of servers: each difference of rows, claims, charges and guests is mended, or listed with its cause."""

import os
import uuid
from collections.abc import Iterator

import pytest

from computecloud.config import CONFIG
from hypervisors.driver import PowerState
from images import cache
from instances import audits as servers
from instances.models import Instance
from networking.models import Port
from quotas.models import Charge, ProjectUsage
from scheduling.models import Allocation, Inventory
from tests.faults import world as worlds
from tests.faults.world import World
from workers import audits, invariants
from workers.driver import driver
from workers.models import AuditRun, Finding, Subject


@pytest.fixture
def world(db: None) -> Iterator[World]:
    worlds.raze()
    yield worlds.build()
    worlds.raze()


def run(name: str, world: World | None = None) -> AuditRun:
    done = audits.run(name, host=world.host.name if world else "", pause=lambda _s: None)
    assert done is not None
    return done


def test_a_cloud_that_agrees_has_no_findings(world: World):
    world.active()
    assert [run(name, world).found for name in ("power", "guests", "image cache", "nodes", "wiring")] == [
        0
    ] * 5
    assert [run(name).found for name in ("capacity", "expiry")] == [0, 0]


def test_a_charge_that_is_gone_is_taken_again(world: World):
    instance = world.active()
    before = ProjectUsage.objects.get(project_id=instance.project_id).cores
    Charge.objects.all().delete()
    ProjectUsage.objects.update(instances=0, cores=0, ram_mib=0)
    done = run("capacity")
    assert (done.found, done.mended) == (1, 1)
    assert ProjectUsage.objects.get(project_id=instance.project_id).cores == before
    assert run("capacity").found == 0


def test_a_server_that_lost_its_subject_gets_one_and_loses_nothing_else(world: World):
    def holds() -> list[object]:
        ports = Port.objects.filter(instance_id=instance.id).values_list("id", "status")
        claims = Allocation.objects.filter(consumer_id=instance.id).values_list("id", flat=True)
        return [list(ports), list(claims), list(Charge.objects.values_list("consumer_id", flat=True))]

    instance = world.active()
    before = holds()
    assert all(before)
    Subject.objects.all().delete()
    assert (run("capacity").mended, run("capacity").found) == (1, 0)
    assert holds() == before
    assert Subject.objects.get().id == instance.id
    assert next(iter(invariants.registered())) == "servers have subjects", "doctor mends in this order"


def test_a_charge_of_another_size_is_taken_again(world: World):
    instance = world.active()
    Charge.objects.update(cores=7)
    ProjectUsage.objects.update(cores=7)
    assert run("capacity").mended == 1
    assert Charge.objects.get().cores == instance.flavor["vcpus"]
    assert ProjectUsage.objects.get(project_id=instance.project_id).cores == instance.flavor["vcpus"]


def test_a_quota_without_room_leaves_the_finding_with_its_reason(world: World):
    world.active()
    Charge.objects.all().delete()
    ProjectUsage.objects.update(instances=0, cores=0, ram_mib=0, cores_limit=0)
    done = run("capacity")
    assert (done.found, done.mended) == (1, 0)
    assert "Quota exceeded" in done.findings.get().advice


def test_a_claim_that_is_gone_is_claimed_again(world: World):
    instance = world.active()
    held = {row.resource_class: row.amount for row in Allocation.objects.all()}
    Allocation.objects.all().delete()
    Inventory.objects.update(used=0)
    done = run("capacity")
    assert (done.found, done.mended) == (1, 1)
    assert {row.resource_class: row.amount for row in Allocation.objects.all()} == held
    assert Allocation.objects.first().node.name == instance.node
    assert run("capacity").found == 0


def test_a_claim_that_no_longer_fits_is_listed(world: World):
    world.active()
    Allocation.objects.all().delete()
    Inventory.objects.update(used=0, total=0)
    done = run("capacity")
    assert done.mended == 0
    assert "has no room" in done.findings.get().advice


def test_claims_and_charges_of_what_is_gone_are_given_back(world: World):
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(deleted=True)
    Subject.objects.filter(id=instance.id).delete()
    done = run("capacity")
    assert done.found == done.mended >= 2
    assert not Allocation.objects.exists()
    assert not Charge.objects.exists()
    assert set(Inventory.objects.values_list("used", flat=True)) == {0}


def test_a_counter_that_is_counted_on_meanwhile_is_left_alone(world: World):
    world.active()
    ProjectUsage.objects.update(cores=9)
    violation = next(v for v in audits.get("capacity").look("") if "cores" in v.what)
    ProjectUsage.objects.update(cores=10)  # somebody charges between look and mend
    assert violation.fix is not None
    assert violation.fix() == 0
    assert ProjectUsage.objects.get().cores == 10


def test_a_server_at_work_is_not_judged(world: World):
    instance = world.active()
    Charge.objects.all().delete()
    ProjectUsage.objects.update(instances=0, cores=0, ram_mib=0)
    Instance.objects.filter(id=instance.id).update(task_state="powering-off")
    assert run("capacity").found == 0


def test_what_began_to_work_after_the_look_is_not_charged(world: World):
    instance = world.active()
    Charge.objects.update(cores=7)
    ProjectUsage.objects.update(cores=7)
    [violation] = servers.charges()
    Instance.objects.filter(id=instance.id).update(task_state="deleting")
    assert violation.fix is not None
    assert violation.fix() is False
    assert Charge.objects.get().cores == 7


def test_a_guest_that_nobody_knows_is_listed_and_lives(world: World):
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(deleted=True)
    done = run("guests", world)
    assert (done.mended, done.found) == (0, 2)  # the guest and its disks
    assert "doctor --fix" in done.findings.first().advice
    assert driver().guest(str(instance.node), instance.id) is not None


def test_a_guest_that_nobody_knows_is_reaped_where_the_setting_says_so(world: World, monkeypatch):
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(deleted=True)
    monkeypatch.setattr(servers, "CONFIG", type("Reaping", (), {"unknown_guests": "reap"}))
    assert run("guests", world).mended >= 1
    assert driver().guest(str(instance.node), instance.id) is None


def test_a_server_whose_guest_is_gone_is_listed(world: World):
    instance = world.active()
    epoch = Subject.objects.get(id=instance.id).epoch
    driver().destroy(str(instance.node), instance.id, epoch)
    finding = run("guests", world).findings.get()
    assert "has no such guest" in finding.what
    assert finding.cause


def test_a_copy_of_a_server_that_lives_elsewhere_is_listed(world: World):
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(host="another")
    finding = run("guests", world).findings.get()
    assert "lives on host another" in finding.what


def test_a_power_state_is_set_to_what_the_guest_does(world: World):
    instance = world.active()
    driver().power_off(str(instance.node), instance.id, Subject.objects.get(id=instance.id).epoch)
    done = run("power", world)
    instance.refresh_from_db()
    assert (done.mended, instance.vm_state, instance.power_state) == (1, "stopped", PowerState.SHUTDOWN.value)
    assert "SHUTDOWN" in Finding.objects.get().what


def test_images_that_no_guest_needs_age_out(world: World):
    here = cache.of_host(CONFIG.host)
    here.folder.mkdir(parents=True, exist_ok=True)
    old, young, used = (uuid.uuid4() for _ in range(3))
    for image_id in (old, young, used):
        here.path(image_id).write_bytes(b"x")
    for image_id in (old, used):
        os.utime(here.path(image_id), (1, 1))
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(image_id=used)
    done = run("image cache", world)
    assert (done.found, done.mended) == (1, 1)
    assert {entry.image_id for entry in here.cached()} == {young, used}
    for image_id in (young, used):
        here.remove(image_id)


def test_the_capacity_audit_costs_the_same_for_few_and_many_servers(
    world: World, django_assert_max_num_queries
):
    world.active()
    with django_assert_max_num_queries(40) as few:
        list(audits.get("capacity").look(""))
    for _ in range(9):
        world.active()
    with django_assert_max_num_queries(len(few)):
        list(audits.get("capacity").look(""))
